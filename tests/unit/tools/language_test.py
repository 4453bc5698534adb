"""The language check finds what it is meant to find, and lets ordinary English pass."""

import ast

import pytest

from tools.language import identifier_findings, phrase_findings


@pytest.mark.parametrize(
    "code",
    ["class Kept: ...", "MOST_ROWS = 3", "def f(least): ...", "f(longest_text=3)", "def asked_of(): ..."],
)
def test_language_check_reports_an_identifier_of_the_former_dialect(code: str) -> None:
    assert len(list(identifier_findings(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    ["class CachedResponse: ...", "MAX_ROWS = 3", "longest = max(rows)", "MOST_EXPERIENCED = 1", "keep = 1"],
)
def test_language_check_accepts_an_ordinary_identifier(code: str) -> None:
    assert not list(identifier_findings(ast.parse(code)))


def test_language_check_reports_a_phrase_with_its_replacement() -> None:
    assert list(phrase_findings("encoded in a process apart")) == [
        'the phrase "process apart". Write: subprocess.'
    ]
    assert not list(phrase_findings("encoded in a subprocess"))
