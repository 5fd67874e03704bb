"""How to cite what a result was made with: the software, the models that come with it, papers and imagery."""

import hashlib

from nephoscope.core.citation import ARTICLES, IMAGERY, software_bibtex, software_text
from nephoscope.inference.model_files import model_files, shipped


def shipped_hashes() -> dict[str, str]:
    """SHA-256 of each model that comes with nephoscope, by name."""
    files = model_files()
    return {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in shipped()}


def how_to_cite() -> str:
    """Everything to cite, as plain text and as BibTeX.

    A model is stated by its SHA-256, since two models of one name give different masks.
    """
    models = "\n".join(f"{name:<8} SHA-256 {digest}" for name, digest in shipped_hashes().items())
    articles = "\n\n".join(f"The {article.about}:\n\n{article.text()}" for article in ARTICLES)
    entries = "\n\n".join([software_bibtex(), *(article.bibtex() for article in ARTICLES)])
    return f"""\
The software:

{software_text()}

The model that was used:

{models}

{articles}

Imagery of NASA Worldview:

Imagery: {IMAGERY}.

BibTeX:

{entries}
"""
