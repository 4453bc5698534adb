"""Words that mean "no value"."""

import re
import unicodedata
from functools import lru_cache
from math import isnan

from apps.records.normalizing.folding import fold

MAX_WORD = 40  # characters; a longer text is no word for "unknown"

# What exports and people write where they know nothing. A site can add its own in a mapping file.
NULL_WORDS = frozenset(
    fold(word)
    for word in [
        "n/a", "na", "n.a.", "nan", "null", "nil", "none", "undefined", "unknown", "unspecified", "tbd",
        "tba", "tbc", "undisclosed", "#ref!", "#value!", "미입력",
        "該当なし", "特になし", "未填", "未填写", "不详", "-", "--", "---", "–", "—", ".", "..", "...", "?",
        "#n/a", "#null!", "keine", "k.a.", "unbekannt", "inconnu", "desconocido", "미정", "없음", "해당없음",
        "미지정", "不明", "未定", "なし",
        "无", "暂无",
    ]
) | {
    fold(phrase)
    for phrase in (
        "not specified", "not stated", "not available", "not provided", "not applicable",
        "to be determined", "to be confirmed", "to be announced", "not disclosed", "none specified",
        "no data",
        "no disponible", "sin especificar", "не указано", "select one", "please select", "choose one",
        "keine angabe", "k. a.", "non précisé", "non spécifié", "no especificado", "해당 없음",
    )
}  # fmt: skip

_BRACKETS = "()[]<>{}\"' "
_AROUND_SLASH = re.compile(r"\s*[/\\]\s*")


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
    if not folded or folded in words or all(unicodedata.category(each)[0] in "PZ" for each in folded):
        return True
    # "(null)", "[None]", "none." and "n / a"
    bare = _AROUND_SLASH.sub("/", folded.strip(_BRACKETS).rstrip("."))
    return bare != folded and (not bare or bare in words)
