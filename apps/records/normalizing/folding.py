"""Compare text regardless of case, accents, width and spacing."""

import re
import unicodedata

_SPACES = re.compile(r"[^\S\x1c-\x1f]+")  # what PostgreSQL calls a space
_ACCENTS = re.compile("[\u0300-\u036f]")
# Letters that Unicode does not decompose, although readers write them without their stroke or ligature.
_PLAIN_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ħ": "h"}
    | {"ß": "ss", "ς": "σ"}
)


def fold(text: str) -> str:
    """Return `text` in lower case, without accents, in compatibility form, with single spaces.

    >>> fold("  São  Paulo "), fold("ＺÜＲＩＣＨ"), fold("Łódź")
    ('sao paulo', 'zurich', 'lodz')
    """
    if text.isascii():
        return _SPACES.sub(" ", text).strip(" ").casefold()
    compatible = _lower(unicodedata.normalize("NFKC", text)).translate(_PLAIN_LETTERS)
    decomposed = unicodedata.normalize("NFD", compatible)
    # Only accents of letters go (category Mn below U+0370); Indic and Hangul vowels are letters, not accents.
    plain = _ACCENTS.sub("", decomposed)
    return _SPACES.sub(" ", unicodedata.normalize("NFC", plain)).strip(" ")


def _lower(text: str) -> str:
    """Lower case letter by letter, as PostgreSQL does it; `casefold` and a final sigma would differ."""
    return "".join(map(str.lower, text)) if "Σ" in text else text.lower()
