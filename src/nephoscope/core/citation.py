"""What a work that uses nephoscope cites: the software, the papers of patterns and labels, the imagery.

The files that repositories and archives read are made from this module and from pyproject.toml, by
`scripts/write_metadata.py`.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata

from nephoscope.core.version import __date__, __version__

TITLE = "nephoscope: how shallow clouds organise in satellite pictures"
AUTHORS = "The nephoscope developers"
"""One entity, not persons."""
LICENCE = "Apache-2.0"
IMAGERY = "NASA Worldview, part of NASA EOSDIS"


@dataclass(frozen=True)
class Article:
    """An article in a journal.

    Attributes:
        key: of its entry in BibTeX.
        about: what it is cited for, in a word.
        authors: family and given names.
        title: as it was published.
        journal: its name in full.
        year: of publication.
        volume: of the journal.
        issue: of the volume.
        pages: first and last, with an en dash.
        doi: without an address before it.
    """

    key: str
    about: str
    authors: tuple[tuple[str, str], ...]
    title: str
    journal: str
    year: int
    volume: int
    issue: int
    pages: str
    doi: str

    def text(self) -> str:
        """The reference in one line."""
        names = [
            f"{family}, {''.join(f'{name[0]}.' for name in given.split())}" for family, given in self.authors
        ]
        listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) <= 4 else f"{names[0]} et al."
        where = f"{self.journal}, {self.volume}({self.issue}), {self.pages}"
        return f"{listed} ({self.year}): {self.title}. {where}. doi:{self.doi}"

    def bibtex(self) -> str:
        """The reference as an entry of BibTeX, for LaTeX that reads UTF-8."""
        return _entry(
            "article",
            self.key,
            author=" and ".join(", ".join(names) for names in self.authors),
            title=f"{{{self.title}}}",  # its capitals are meant
            journal=self.journal,
            year=str(self.year),
            volume=str(self.volume),
            number=str(self.issue),
            pages=self.pages.replace("–", "--"),
            doi=self.doi,
        )


PATTERNS = Article(
    key="Stevens2020",
    about="patterns",
    authors=(
        ("Stevens", "Bjorn"),
        ("Bony", "Sandrine"),
        ("Brogniez", "Hélène"),
        ("Hentgen", "Laureline"),
        ("Hohenegger", "Cathy"),
        ("Kiemle", "Christoph"),
        ("L'Ecuyer", "Tristan S."),
        ("Naumann", "Ann Kristin"),
        ("Schulz", "Hauke"),
        ("Siebesma", "Pier A."),
        ("Vial", "Jessica"),
        ("Winker", "Dave M."),
        ("Zuidema", "Paquita"),
    ),
    title="Sugar, gravel, fish and flowers: Mesoscale cloud patterns in the trade winds",
    journal="Quarterly Journal of the Royal Meteorological Society",
    year=2020,
    volume=146,
    issue=726,
    pages="141–152",
    doi="10.1002/qj.3662",
)
LABELS = Article(
    key="Rasp2020",
    about="labels",
    authors=(("Rasp", "Stephan"), ("Schulz", "Hauke"), ("Bony", "Sandrine"), ("Stevens", "Bjorn")),
    title="Combining Crowdsourcing and Deep Learning to Explore the Mesoscale Organization of "
    "Shallow Convection",
    journal="Bulletin of the American Meteorological Society",
    year=2020,
    volume=101,
    issue=11,
    pages="E1980–E1995",
    doi="10.1175/BAMS-D-19-0324.1",
)
ARTICLES = (PATTERNS, LABELS)
REFERENCES = ", ".join(f"doi:{article.doi} ({article.about})" for article in ARTICLES)
"""Of the default patterns and models, for the attribute of files."""


def software_text() -> str:
    """The software with its version, in one line."""
    address = repository()
    return f"{AUTHORS} ({__date__[:4]}): {TITLE}. Version {__version__}.{f' {address}' if address else ''}"


def software_bibtex() -> str:
    """The software with its version as an entry of BibTeX."""
    year, month, _ = __date__.split("-")
    return _entry(
        "software",
        "nephoscope",
        author=f"{{{AUTHORS}}}",  # no family name, no given names
        title=f"{{{TITLE}}}",
        year=year,
        month=str(int(month)),
        version=__version__,
        license=LICENCE,
        url=repository(),
    )


def repository() -> str:
    """The address of the repository, of the installed metadata; empty where there are none.

    It is written in pyproject.toml alone, so that a move changes one place.
    """
    try:
        urls = metadata("nephoscope").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from its source
        return ""
    named: dict[str, str] = dict(line.split(", ", 1) for line in urls)
    return named.get("Repository", "")


def _entry(kind: str, key: str, **fields: str) -> str:
    lines = [f"  {name:<8} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
