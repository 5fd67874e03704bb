"""Write the files that archives, indexes and builders read: `python scripts/write_metadata.py`.

CITATION.cff, codemeta.json, .zenodo.json and recipe/recipe.yaml say again what pyproject.toml,
`core/version.py` and `core/citation.py` say. Run this after a change of one of those; a test compares.
"""

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nephoscope.core.citation import ARTICLES, AUTHORS, LICENCE, TITLE, Article
from nephoscope.core.version import __date__, __version__

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
URLS = PROJECT["urls"]
CONDA_NAMES = {"opencv-python-headless": "py-opencv"}
"""Names on conda-forge of what has another one on PyPI; all are small letters there."""


def citation() -> str:
    """CITATION.cff, version 1.2.0 of the Citation File Format."""
    # YAML takes JSON's texts and lists as they are: no library for YAML is needed.
    lines = {
        "cff-version": "1.2.0",
        "message": "If you use this software, please cite it, the model by its SHA-256, and these articles; "
        "'nephoscope info --cite' prints all of it.",
        "type": "software",
        "title": TITLE,
        "abstract": PROJECT["description"] + ".",
        "authors": [{"name": AUTHORS}],
        "version": __version__,
        "date-released": __date__,
        "license": LICENCE,
        "url": URLS["Homepage"],
        "repository-code": URLS["Repository"],
        "keywords": PROJECT["keywords"],
    }
    written = [f"{name}: {_json(value)}" for name, value in lines.items()]
    references = [_reference(article) for article in ARTICLES]
    return "\n".join([*written, "references:", *references]) + "\n"


def _reference(article: Article) -> str:
    first, last = article.pages.split("–")
    authors = [{"family-names": family, "given-names": given} for family, given in article.authors]
    fields = {
        "type": "article",
        "title": article.title,
        "journal": article.journal,
        "year": article.year,
        "volume": article.volume,
        "issue": str(article.issue),
        "start": first,
        "end": last,
        "doi": article.doi,
        "notes": f"The {article.about}.",
    }
    people = [f"      - {_json(author)}" for author in authors]
    lines = [f"    {name}: {_json(value)}" for name, value in fields.items()]
    return "\n".join(["  -", *lines, "    authors:", *people])


def codemeta() -> str:
    """codemeta.json, version 3.0 of CodeMeta."""
    licence = f"https://spdx.org/licenses/{LICENCE}"
    described = {
        "@context": "https://w3id.org/codemeta/3.0",
        "@type": "SoftwareSourceCode",
        "name": PROJECT["name"],
        "description": PROJECT["description"],
        "author": [{"@type": "Organization", "name": AUTHORS}],
        "version": __version__,
        "datePublished": __date__,
        "license": licence,
        "url": URLS["Homepage"],
        "codeRepository": URLS["Repository"],
        "issueTracker": URLS["Issues"],
        "softwareHelp": URLS["Documentation"],
        "releaseNotes": URLS["Changelog"],
        "programmingLanguage": "Python",
        "runtimePlatform": f"Python {PROJECT['requires-python']}",
        "softwareRequirements": PROJECT["dependencies"],
        "keywords": PROJECT["keywords"],
        "developmentStatus": "active",
        "referencePublication": [
            {"@type": "ScholarlyArticle", "name": article.title, "@id": f"https://doi.org/{article.doi}"}
            for article in ARTICLES
        ],
    }
    return _json(described, indent=2) + "\n"


def zenodo() -> str:
    """.zenodo.json, which Zenodo reads when the repository makes a release."""
    described = {
        "title": TITLE,
        "description": f"<p>{PROJECT['description']}.</p>",
        "upload_type": "software",
        "access_right": "open",
        "license": LICENCE,
        "version": __version__,
        "publication_date": __date__,
        "creators": [{"name": AUTHORS}],
        "keywords": PROJECT["keywords"],
        "related_identifiers": [
            {"identifier": article.doi, "relation": "cites", "resource_type": "publication-article"}
            for article in ARTICLES
        ],
    }
    return _json(described, indent=2) + "\n"


def recipe() -> str:
    """recipe/recipe.yaml of the base package, for rattler-build."""
    least = PROJECT["requires-python"].removeprefix(">=")
    builders = "\n".join(f"    - {_conda(each)}" for each in PYPROJECT["build-system"]["requires"])
    needs = "\n".join(f"    - {_conda(requirement)}" for requirement in PROJECT["dependencies"])
    return f"""\
# Made by scripts/write_metadata.py. rattler-build build --recipe recipe
# A feedstock has the sdist's address and SHA-256 as its source in place of the checkout.
schema_version: 1

context:
  version: "{__version__}"
  python_min: "{least}"

package:
  name: {PROJECT["name"]}
  version: ${{{{ version }}}}

source:
  path: ..

build:
  number: 0
  noarch: python
  script: ${{{{ PYTHON }}}} -m pip install . -vv --no-deps --no-build-isolation
  python:
    entry_points:
      - nephoscope = {PROJECT["scripts"]["nephoscope"]}

requirements:
  host:
    - python ${{{{ python_min }}}}.*
{builders}
    - pip
  run:
    - python >=${{{{ python_min }}}}
{needs}

tests:
  - python:
      imports: [nephoscope]
      pip_check: false  # py-opencv is another distribution than opencv-python-headless, with the same module
      python_version: ${{{{ python_min }}}}.*
  - script:
      - nephoscope --version
      - nephoscope segment sample --format json

about:
  homepage: {URLS["Homepage"]}
  repository: {URLS["Repository"]}
  documentation: {URLS["Documentation"]}
  summary: {PROJECT["description"]!r}
  license: {LICENCE}
  license_file: [LICENSE, NOTICE]
"""


def _conda(requirement: str) -> str:
    name, least = requirement.split(">=")
    return f"{CONDA_NAMES.get(name, name.lower())} >={least}"


def _json(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)


FILES: dict[str, Callable[[], str]] = {
    "CITATION.cff": citation,
    "codemeta.json": codemeta,
    ".zenodo.json": zenodo,
    "recipe/recipe.yaml": recipe,
}


def main() -> None:
    """Write the files that differ, and name them."""
    for name, made in FILES.items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != made():
            path.write_text(made(), encoding="utf-8")
            print(name, file=sys.stderr)


if __name__ == "__main__":
    main()
