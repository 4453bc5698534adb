"""Words that mean "no value"."""

from functools import lru_cache
from math import isnan

from apps.records.normalizing.folding import fold

MAX_WORD = 40  # characters; a longer text is no word for "unknown"

# What exports and people write where they know nothing. A site can add its own in a mapping file.
NULL_WORDS = frozenset(
    fold(word)
    for word in [
        "n/a", "na", "n.a.", "nan", "null", "nil", "none", "undefined", "unknown", "unspecified", "tbd",
        "tba", "-", "--", "---", "–", "—", ".", "..", "...", "?", "#n/a", "#null!", "keine", "k.a.",
        "unbekannt", "inconnu", "desconocido", "미정", "없음", "해당없음", "미지정", "不明", "未定", "なし",
        "无", "暂无",
    ]
) | {
    fold(phrase)
    for phrase in (
        "not specified", "not stated", "not available", "not provided", "not applicable",
        "to be determined", "keine angabe", "non précisé", "no especificado", "해당 없음",
    )
}  # fmt: skip


def is_unknown(value: object, *, words: frozenset[str] = NULL_WORDS) -> bool:
    """Return whether `value` is empty or one of `words` (folded), so that the cell says nothing.

    A float that is not a number says nothing either: spreadsheets and data frames write it for an empty cell.
    """
    if isinstance(value, str):
        return _is_word(value, words) if len(value) <= MAX_WORD else value.isspace()
    if value is None or value in ([], {}):
        return True
    return isinstance(value, float) and isnan(value)


@lru_cache(maxsize=50_000)  # feeds repeat their short cells, and this is asked of every cell several times
def _is_word(text: str, words: frozenset[str]) -> bool:
    folded = fold(text)
    return not folded or folded in words
