"""The API for reading: a page made from the OpenAPI document, without scripts and other hosts."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_HEAD = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>API of nephoscope</title>
  <link rel="icon" href="page/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="page/style.css">
</head>
<body class="reading">
<main>
"""
_FOOT = (
    '<p><a href="openapi.json">openapi.json</a> is the same for programs.</p>\n</main>\n</body>\n</html>\n'
)


@router.get("/api.html", response_class=HTMLResponse)
async def api_page(request: Request) -> HTMLResponse:
    """The API for reading."""
    return HTMLResponse(render(request.app.openapi()))


def render(document: dict[str, Any]) -> str:
    """An OpenAPI document as HTML: each operation with its parameters, bodies and answers."""
    about = document["info"]
    parts = [f"<h1>API of {escape(about['title'])} {escape(about['version'])}</h1>"]
    parts.append(f"<p class='lead'>{escape(about['summary'])}</p>")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(method, path, operation)
    return _HEAD + "\n".join(parts) + _FOOT


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    number = escape(operation["operationId"])
    parts = [f"<section aria-labelledby='{number}'>"]
    parts.append(f"<h2 id='{number}'><code>{method.upper()} {escape(path)}</code></h2>")
    parts.append(f"<p>{escape(operation.get('description', ''))}</p>")
    if operation.get("security"):
        parts.append("<p>Needs the header <code>Authorization: Bearer TOKEN</code>.</p>")
    rows = [
        (
            f"<code>{escape(each['name'])}</code>{' (required)' if each.get('required') else ''}",
            escape(each.get("description", "")) + _examples(each),
        )
        for each in operation.get("parameters", [])
    ]
    parts += _table("Parameters", rows)
    body = operation.get("requestBody", {})
    parts += _table("Body", [(f"<code>{escape(kind)}</code>", "") for kind in body.get("content", {})])
    answers = [
        (escape(status), escape(answer["description"]) + _kinds(answer))
        for status, answer in operation["responses"].items()
    ]
    return [*parts, *_table("Answers", answers), "</section>"]


def _examples(parameter: dict[str, Any]) -> str:
    given = parameter.get("examples") or parameter.get("schema", {}).get("examples") or []
    values = [each["value"] if isinstance(each, dict) else each for each in given]
    return "".join(f" Such as <code>{escape(str(value))}</code>." for value in values)


def _kinds(answer: dict[str, Any]) -> str:
    return "".join(f" <code>{escape(kind)}</code>" for kind in answer.get("content", {}))


def _table(caption: str, rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    body = "".join(f"<tr><th scope='row'>{name}</th><td>{words}</td></tr>" for name, words in rows)
    return [f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"]
