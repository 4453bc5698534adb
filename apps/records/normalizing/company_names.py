"""Compare names of companies regardless of spelling and legal form."""

import re
from functools import lru_cache

from apps.records.normalizing.folding import fold

MAX_NAME = 200  # characters
# Legal forms at the end or the beginning of a name, folded and without punctuation.
LEGAL_FORMS = frozenset(
    [
        "inc", "incorporated", "llc", "llp", "lp", "ltd", "limited", "plc", "corp", "corporation", "co",
        "company", "gmbh", "mbh", "ag", "kg", "kgaa", "ohg", "ug", "gbr", "se", "eg", "ev", "sa", "sas",
        "sarl", "sasu", "srl", "spa", "sl", "slu", "bv", "nv", "vof", "ab", "as", "asa", "aps", "oy", "oyj",
        "kk", "pty", "pte", "pvt", "sdn", "bhd", "doo", "dd", "zrt", "kft", "sro", "as", "sp", "zoo", "ltda",
        "eirl", "jsc", "ooo", "주식회사", "유한회사", "주", "株式会社", "有限会社", "合同会社", "公司",
        "有限公司",
    ]
)  # fmt: skip
_PUNCTUATION = re.compile(r"[^\w\s&+]|_")


@lru_cache(maxsize=20_000)  # feeds name the same companies row after row
def folded_company(name: str) -> str:
    """Return what spellings of a company share: its name without case, accents, punctuation and legal form.

    >>> folded_company("ACME GmbH") == folded_company("acme  g.m.b.h.") == folded_company("Acme")
    True
    """
    dotted = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", fold(name))  # g.m.b.h. is one word
    words = _PUNCTUATION.sub(" ", dotted.replace("&", " & ")).split()
    while len(words) > 1 and words[-1] in LEGAL_FORMS | {"&", "and"}:
        words.pop()
    while len(words) > 1 and words[0] in {"주식회사", "유한회사", "주", "株式会社", "有限会社"}:
        words.pop(0)
    return " ".join(words)[:MAX_NAME] or fold(name)[:MAX_NAME]
