"""Error messages do not quote the texts that they are about."""

import pytest

from apps.embeddings.quotes import without_quotes

TEXT = "I was born in Bergen, and I have driven a tram for eleven years."


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("token 7 of 'I have driven a tram for eleven' is out of range", "token 7 of '…' is out of range"),
        (f"{TEXT} twice: {TEXT}", "… twice: …"),
        ("index 9 is out of range", "index 9 is out of range"),
        ("Bergen", "…"),
    ],
)
def test_without_quotes_replaces_quotes_and_keeps_the_rest(message: str, shown: str) -> None:
    assert without_quotes(message, of=TEXT) == shown


@pytest.mark.parametrize(("text", "shown"), [("…", "bad: …"), ("x", "bad: …"), ("", "bad: …")])
def test_without_quotes_ends_for_texts_of_one_character_and_none(text: str, shown: str) -> None:
    assert without_quotes(f"bad: {text or '…'}", of=text) == shown
