"""One self-contained HTML page of sections, tables and pictures; nothing is loaded from anywhere."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1c222b; --faint: #5d6774; --paper: #fff; --line: #d8dde4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --faint: #9aa4b2; --paper: #14181e; --line: #333b46; }
  figure img { background: #fff; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.8rem; margin-bottom: 0.2rem; } h2 { margin-top: 2.5rem; font-size: 1.3rem; }
nav { color: var(--faint); } nav a { margin-right: 1rem; }
a { color: inherit; } p { max-width: 45rem; } .faint, figcaption { color: var(--faint); font-size: 0.9rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.65rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; } td { white-space: nowrap; }
"""


def paragraph(text: str, faint: bool = False) -> str:
    """A paragraph of plain text."""
    kind = ' class="faint"' if faint else ""
    return f"<p{kind}>{escape(text)}</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its first column names the rows, the others hold numbers as they shall be read."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(picture: bytes, caption: str) -> str:
    """A PNG or JPEG inside the page; the caption also serves those who cannot see it."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
    text = escape(caption)
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def page(title: str, subtitle: str, sections: Sequence[tuple[str, Sequence[str]]]) -> bytes:
    """The whole page.

    Args:
        title: what it is about.
        subtitle: of what, by what, when.
        sections: heading and parts of each; a part is what `paragraph`, `table` or `figure` gave.
    """
    links = "".join(f'<a href="#s{i}">{escape(heading)}</a> ' for i, (heading, _) in enumerate(sections))
    body = "".join(
        f'<section id="s{i}"><h2>{escape(heading)}</h2>{"".join(parts)}</section>'
        for i, (heading, parts) in enumerate(sections)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<header><h1>{escape(title)}</h1><p class="faint">{escape(subtitle)}</p><nav>{links}</nav></header>'
        f"<main>{body}</main></body></html>\n"
    ).encode()
