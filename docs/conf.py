"""Configuration of the documentation site, for Sphinx: `make docs`."""

import sys
import tomllib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "reference"))

from command_reference import markdown
from pygments.lexers import TextLexer

from nephoscope import __version__

project = "nephoscope"
author = "The nephoscope developers"
copyright = f"2026, {author}"
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]

html_theme = "furo"
html_title = f"nephoscope {release}"
html_logo = html_favicon = "../src/nephoscope/page/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # `### ` after `# ` is meant in a few pages

# Notebooks run when the site is made. Those that a build has run are kept until their code changes.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# Pages of the repository that the site has under another name.
PAGES = {
    "../README.md": "index.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "../MODEL_CHANGELOG.md": "model-changelog.md",
}
PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
REPOSITORY = PYPROJECT["project"]["urls"]["Repository"]
# Those that it links to where the code is.
ELSEWHERE = ("RELEASING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")


def rewrite_links(app: Any, page: str, source: list[str]) -> None:
    """Turn links to pages of the repository into links to the site's, and fill in the commands."""
    source[0] = source[0].replace("<!-- commands -->", markdown())
    depth = page.count("/")
    for path, name in PAGES.items():
        source[0] = source[0].replace(f"]({path}", f"]({'../' * depth}{name}")


def rewrite_included(app: Any, path: Any, page: str, source: list[str]) -> None:
    """The same for pages that lie beside `docs` and are included."""
    source[0] = source[0].replace("](docs/", "](")
    for path_, name in PAGES.items():
        source[0] = source[0].replace(f"]({path_.removeprefix('../')}", f"]({name}")
    for file in ELSEWHERE:
        source[0] = source[0].replace(f"]({file}", f"]({REPOSITORY}/blob/main/{file}")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)
    app.connect("source-read", rewrite_links)
    app.connect("include-read", rewrite_included)
