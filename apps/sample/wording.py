"""Small rules of English that the word lists rely on."""

import re
from collections.abc import Sequence

LETTERS_SPOKEN_WITH_A_VOWEL = frozenset("AEFHILMNORSX")
SMALL_WORDS = frozenset({"a", "and", "at", "de", "for", "in", "of", "on", "the", "to"})


def with_article(noun: str) -> str:
    """`a data engineer`, `an HR specialist`, `a UX designer`."""
    first = noun.split(maxsplit=1)[0]
    if first.isupper():
        vowel = first[0] in LETTERS_SPOKEN_WITH_A_VOWEL
    else:
        vowel = first[0].lower() in "aeiou" and not first.startswith(("uni", "use"))
    return f"{'an' if vowel else 'a'} {noun}"


def title_case(title: str) -> str:
    """`Editor-in-Chief` from `editor-in-chief`; words with capitals of their own, like `iOS`, stay."""
    pieces = re.split(r"([ -])", title)
    return "".join(
        piece if (position and piece in SMALL_WORDS) or piece != piece.lower() else capitalized(piece)
        for position, piece in enumerate(pieces)
    )


def capitalized(text: str) -> str:
    """With a capital at the beginning; what is written like `iOS` stays."""
    return text if text[1:2].isupper() else text[:1].upper() + text[1:]


def enumeration(items: Sequence[str]) -> str:
    """`a, b and c`; with a further comma where an item has an `and` of its own."""
    if len(items) < 2:
        return "".join(items)
    last_comma = "," if len(items) > 2 and any(" and " in item for item in items) else ""
    return f"{', '.join(items[:-1])}{last_comma} and {items[-1]}"
