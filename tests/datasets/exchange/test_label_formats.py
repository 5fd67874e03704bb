"""The table of label formats."""

from pathlib import Path

import pytest

from nephoscope.datasets.exchange.registry import FORMATS, markdown_table

PAGE = (Path(__file__).parents[3] / "docs" / "labels.md").read_text()


def test_the_page_has_the_table():
    marked = PAGE.partition("<!-- label formats: begin")[2].partition("<!-- label formats: end -->")[0]
    assert marked.partition("-->\n")[2] == markdown_table()


@pytest.mark.parametrize("name", FORMATS)
def test_the_page_describes_every_format(name):
    assert f"- `{name}`: " in PAGE or f"- `{name.removesuffix('-pixels')}`: " in PAGE
