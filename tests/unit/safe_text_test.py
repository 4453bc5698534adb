"""Refusal of control characters in names."""

import pytest

from apps.safe_text import refuse_control_characters


@pytest.mark.parametrize(
    "name", ["", "C++", "Größe", "서울 강남구", "\u0645\u06cc\u200c\u062e", "👩‍🔬", 7, None]
)
def test_plain_name_is_returned_as_it_is(name: object) -> None:
    assert refuse_control_characters(name) == name


@pytest.mark.parametrize("character", "\n\t\x00\x7f\x85\u061c\u200e\u200f\u2028\u202a\u202e\u2066\u2069")
def test_control_character_is_refused_with_its_code_and_position(character: str) -> None:
    with pytest.raises(ValueError, match=rf"U\+{ord(character):04X} at position 3,"):
        refuse_control_characters(f"ab{character}c")
