"""GraphiQL's page and the files that it loads from this repository."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory

from apps.api.middleware import is_for_graphiql

FOLDER = Path(__file__).parents[3] / "apps" / "api" / "static" / "graphiql"
MANIFEST = tomllib.loads((FOLDER / "manifest.toml").read_text())


@pytest.mark.parametrize("name", MANIFEST)
def test_a_vendored_file_has_the_hash_of_the_manifest(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == MANIFEST[name]["sha256"]


def test_the_folder_holds_what_the_page_loads_and_nothing_else() -> None:
    page = render_to_string("api/graphiql.html")
    loaded = re.findall(r'(?:src|href)="/?static/([^"]+)"', page)
    assert len(loaded) == len(re.findall(r"(?:src|href)=", page)), "the page loads from elsewhere"
    assert {name.removeprefix("graphiql/") for name in loaded} == {*MANIFEST, "graphene_django/graphiql.js"}
    assert {path.name for path in FOLDER.iterdir()} == {*MANIFEST, "manifest.toml", "LICENSES.txt"}


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("*/*", False),
    ],
)
def test_a_browser_gets_the_page_and_a_program_does_not(accept: str, is_page: bool) -> None:
    assert is_for_graphiql(RequestFactory().get("/graphql", HTTP_ACCEPT=accept)) is is_page
    assert not is_for_graphiql(RequestFactory().post("/graphql", HTTP_ACCEPT=accept))
