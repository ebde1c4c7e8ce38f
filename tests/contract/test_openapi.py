"""The OpenAPI document says who may call what, and its page needs nothing but itself."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from serve_app.rest.document import page_of
from serve_app.rest.guards import Rule
from serve_app.routes import create_app
from tests.support.doors import open_door

GUIDE = Path(__file__).parents[2] / "docs" / "rest.md"
DOCUMENT = create_app(lambda: None).openapi()
OPERATIONS = [(method, path, op) for path, item in DOCUMENT["paths"].items() for method, op in item.items()]


class Seen(HTMLParser):
    """What a page would load or run."""

    def __init__(self):
        super().__init__()
        self.loads, self.runs, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href")]
        self.runs += [name for name, _ in attrs if name.startswith("on") or name == "style"]


async def test_the_page_loads_its_style_sheet_and_nothing_else():
    async with open_door() as at, httpx.AsyncClient(base_url=at.http) as http:
        page, style, document = [await http.get(path) for path in ("/docs", "/estilo.css", "/openapi.json")]
    seen = Seen()
    seen.feed(page.text)
    assert "script" not in seen.tags
    assert seen.runs == []
    assert {link for link in seen.loads if not link.startswith("#")} == {"/estilo.css", "/openapi.json"}
    assert style.headers["content-type"].startswith("text/css")
    assert "url(" not in style.text
    assert document.json() == DOCUMENT
    assert all(f"{method.upper()} {path}" in page.text for method, path, _ in OPERATIONS)


def test_nothing_in_a_document_runs_in_its_page():
    hostile = "<img src=x onerror=alert(1)>"
    operation = {"description": hostile, "parameters": [{"name": hostile, "in": hostile, "schema": {"a": hostile}}]}
    page = page_of({"info": {"title": hostile, "version": hostile}, "paths": {f"/{hostile}": {"get": operation}}})
    seen = Seen()
    seen.feed(page)
    assert "img" not in seen.tags
    assert seen.runs == []


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_operation_says_who_may_call_it_and_how_it_fails(method, path, operation):
    rule = Rule(operation["x-acesso"])
    assert (operation["security"] == []) == (rule is Rule.PUBLIC)
    assert operation["description"]
    errors = {status: answer for status, answer in operation["responses"].items() if not status.startswith("2")}
    assert {"401", "403", "413", "422", "503"} <= set(errors)
    for answer in errors.values():
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_the_guide_tells_every_route_and_no_other():
    told = set(re.findall(r"`(GET|POST|PUT|DELETE) (/[^ `]*)`", GUIDE.read_text()))
    assert {(method.upper(), path) for method, path, _ in OPERATIONS} <= told
    paths = set(DOCUMENT["paths"]) | {"/", "/admin", "/docs", "/openapi.json", "/estilo.css"}
    assert {path for _, path in told} <= paths
