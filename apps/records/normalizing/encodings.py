"""Detect the encoding of a file (package charset-normalizer)."""

import codecs
import re

from apps.records.normalizing.errors import UnreadableCellError

SAMPLE = 256 * 1024  # bytes of the file's beginning that are looked at
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Those that feeds are written in, as Python calls them. Others must be named.
CANDIDATES = (
    "cp949", "shift_jis", "cp932", "gb18030", "big5", "euc_jp", "cp1252", "cp1250", "cp1251", "koi8_r",
    "cp866", "cp1253", "cp1255", "cp1256", "tis_620",
)  # fmt: skip
_ONE_BYTE = {
    "latin_1": "cp1252", "ascii": "utf-8", "iso8859_1": "cp1252", "cp1254": "cp1252", "iso8859_15": "cp1252",
    "euc_kr": "cp949", "johab": "cp949", "shift_jis_2004": "cp932", "shift_jisx0213": "cp932",
    "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030",
}  # fmt: skip

_WESTERN, _CENTRAL = "äöüßéèàùâêîôûëïçñøåæãõìòáíóúœ", "ąćęłńóśźżáčďéěíňřšťúůýžőűâăîșțţşäöüß"
# The usual letters of each; on a tie the first counts.
_LATIN = {
    "cp1252": _WESTERN, "cp1250": _CENTRAL, "iso8859_2": _CENTRAL, "cp1254": "ğışçöüâ", "mac_roman": _WESTERN,
}  # fmt: skip
_KANA = re.compile("[\u3041-\u30fe]")
MIN_KANA = 0.2  # share of Hiragana and Katakana in Japanese text; other text in Shift-JIS has hardly any
_SIGN_IN_WORD = re.compile(r"(?<=[^\W\d_])[^\w\s.,;:'’\-–/&+()\"!?@#*|\\`´](?=[^\W\d_])|\w[¹²³ªº]\w")


def detect_encoding(sample: bytes) -> str:
    """Return the name of the encoding of a file that begins with `sample`, for `bytes.decode`.

    A byte order mark decides; then UTF-8, which other encodings hardly ever pass for; then what
    charset-normalizer finds among CANDIDATES. Raises UnreadableCellError where nothing fits: the encoding
    must be named then.
    """
    if name := _certain(sample):
        return name
    if _has_lone_bytes(sample):
        return _latin(sample)
    from charset_normalizer import from_bytes

    best = from_bytes(_whole_lines(sample), cp_isolation=[*CANDIDATES], preemptive_behaviour=False).best()
    if best is None:
        raise UnreadableCellError(
            "the encoding cannot be told; name it with --encoding, such as cp1252, cp949 or shift_jis"
        )
    name = _ONE_BYTE.get(best.encoding, best.encoding)
    return _latin(sample) if name in _LATIN else name


def _certain(sample: bytes) -> str:
    """The encoding that a mark, or a pattern that no other encoding has, gives away; "" where none does."""
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if b"\x1b$" in sample:
        return "iso2022_jp"  # ASCII bytes only
    if name := _utf_16_without_mark(sample):
        return name
    if _is_utf_8(sample):
        return "utf-8"
    return "cp932" if _is_shift_jis(sample) else ""


def _has_lone_bytes(sample: bytes) -> bool:
    """Whether most bytes beyond ASCII stand alone, as the accented letters of Latin text do.

    Letters of other scripts stand in groups of bytes. Below 0xB3 lie hardly any letters of Latin text, and
    the first bytes of Shift-JIS and Big5, whose second may be ASCII.
    """
    lone = len(re.findall(rb"(?<![\x80-\xff])[\xb3-\xff](?![\x80-\xff])", sample))
    others = len(
        re.findall(
            rb"[\x80-\xff]{2,}|(?<![\x80-\xff])[\x81-\x9f\xa4-\xa6\xa8-\xaa\xac-\xaf](?![\x80-\xff])", sample
        )
    )
    return lone > others


def _latin(sample: bytes) -> str:
    """Tell Western from Central European and Turkish by the more usual letters; cp1252 on a tie."""

    def score(name: str) -> int:
        text = sample.decode(name, errors="replace").casefold()
        return sum(map(text.count, _LATIN[name])) - 2 * len(_SIGN_IN_WORD.findall(text))

    return max(_LATIN, key=score)


def _is_utf_8(sample: bytes) -> bool:
    """The last character may be cut by the end of the sample, but not by the end of a short file."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(sample) < SAMPLE)
    except UnicodeDecodeError:
        return False
    return True


def _is_shift_jis(sample: bytes) -> bool:
    text = sample.decode("cp932", errors="replace")
    foreign = len(re.findall(r"[^\x00-\x7f]", text))
    return foreign > 0 and len(_KANA.findall(text)) > MIN_KANA * foreign and text.count("\ufffd") < 2


def _utf_16_without_mark(sample: bytes) -> str:
    """Half of the bytes of Latin text in UTF-16 are zero, all on one side."""
    head = sample[:2_000]
    if head.count(0) < len(head) // 4 or len(head) < 4:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    return "utf-16-le" if odd > 4 * even else "utf-16-be" if even > 4 * odd else ""


def _whole_lines(sample: bytes) -> bytes:
    """The lines that are not plain ASCII, without the last one, which may end within a character."""
    lines = sample.splitlines(keepends=True)
    lines = lines[:-1] if len(lines) > 1 else lines
    telling = [line for line in lines if re.search(rb"[\x80-\xff]", line)]
    return b"".join(telling[:2_000]) or sample
