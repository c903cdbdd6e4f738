"""The interface described for people: one page, made from the same description as
/openapi.json. It loads nothing from anywhere and runs no script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    """Every route with its parameters."""
    described = request.app.openapi()
    title = escape(f"{described['info']['title']} {described['info']['version']}")
    routes = "".join(_routes(described["paths"]))
    note = 'Machine-readable: <a href="/openapi.json">/openapi.json</a>'
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head><body><h1>{title}</h1><p>{note}</p>{routes}</body></html>"
    )


def _routes(paths: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in paths.items():
        for method, said in methods.items():
            head = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            told = escape(said.get("description", said.get("summary", "")))
            yield f"{head}<p>{told}</p>{_parameters(said.get('parameters', []))}"


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    if not parameters:
        return ""
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{'required' if each.get('required') else ''}</td>"
        f"<td>{escape(each.get('description', ''))}</td></tr>"
        for each in parameters
    )
    return f"<table>{rows}</table>"
