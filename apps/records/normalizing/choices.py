"""Read cells that take few values: yes or no, employment types, levels of English, years of experience."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold

_TRUE = frozenset(
    [
        "true", "yes", "y", "t", "1", "x", "ja", "oui", "si", "on", "wahr", "vrai", "예", "네", "はい",
        "remote", "○", "o", "✓", "✔",
    ]
)  # fmt: skip
_FALSE = frozenset(
    [
        "false", "no", "n", "f", "0", "nein", "non", "off", "falsch", "faux", "아니오", "아니요", "いいえ",
        "onsite", "on-site", "×", "✗",
    ]
)  # fmt: skip
MAX_TEXT = 200  # characters of a cell that takes few values


def parse_boolean(value: object) -> bool:
    """Read yes or no in the languages of feeds. Raises UnreadableCellError."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    folded = fold(value) if isinstance(value, str) and len(value) <= MAX_TEXT else ""
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise UnreadableCellError(f"true or false is needed, not {str(value)[:40]!r}")


# The first pattern that matches decides; more special types come before full time, which many texts add.
_EMPLOYMENT = tuple(
    (name, re.compile(rf"(?<![^\W\d_])(?:{pattern})"))
    for name, pattern in (
        (
            "internship",
            (
                r"intern(?:ship)?(?![^\W\d_])|praktik|werkstudent|stage(?![^\W\d_])|trainee|apprentic"
                r"|ausbildung|azubi|working student|practicas|인턴|インターン|实习"
            ),
        ),
        (
            "temporary",
            (
                r"temp(?:orary)?(?![^\W\d_])|seasonal|befrist|zeitarbeit|aushilfe|casual|per diem|interim"
                r"|saison|fixed[ -]term|cdd(?![^\W\d_])|term(?![^\W\d_])|기간제|임시|派遣"
            ),
        ),
        (
            "part_time",
            (
                r"part[ _-]?time|teilzeit|minijob|geringfugig|temps partiel|tiempo parcial|media jornada|파트"
                r"|시간제|アルバイト|パート|兼职"
            ),
        ),
        (
            "contract",
            (
                r"contract(?:or)?(?![^\W\d_])|freelance|freiberuf|self[ _-]?employed|b2b|c2c"
                r"|corp[ -]to[ -]corp|1099|independent|계약|프리랜|契約|業務委託|合同"
            ),
        ),
        (
            "full_time",
            (
                r"full[ _-]?time|fulltime|vollzeit|festanstellung|unbefristet|permanent|regular|temps plein"
                r"|cdi(?![^\W\d_])|tiempo completo|jornada completa|fte(?![^\W\d_])"
                r"|정규|풀타임|正社員|全职|employee(?![^\W\d_])|w2(?![^\W\d_])"
            ),
        ),
    )
)


def parse_employment_type(value: object) -> str:
    """Return full_time, part_time, contract, temporary or internship. Raises UnreadableCellError.

    Of several ("fulltime, parttime") full time counts, where it is among them, since the job can be had so; a
    type that limits the job (internship, temporary, contract) goes before it.
    """
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UnreadableCellError("an employment type such as full_time is needed")
    found = {name for name, pattern in _EMPLOYMENT if pattern.search(fold(value).replace("_", " "))}
    for name in ("internship", "temporary", "contract", "full_time", "part_time"):
        if name in found:
            return name
    raise UnreadableCellError(
        f"{value[:40]!r} is no employment type; write one of full_time, part_time, contract, temporary, "
        "internship"
    )


# Levels as in apps.records.models.EnglishLevel: 0 none … 5 fluent.
_LEVELS = (
    (0, r"none|no english|keine|없음"),
    (
        5,
        (
            r"c1|c2|native|mother ?tongue|fluent|bilingual|proficient|advanced(?!.*inter)"
            r"|full professional|verhandlungssicher|fliessend|flie(?:ss|ß)end|muttersprach|courant|원어민"
            r"|유창|ネイティブ|流暢|상급"
        ),
    ),
    (
        4,
        (
            r"b2|upper[ _-]?inter(?:mediate)?|upper|professional working|business|very good|sehr gut"
            r"|비즈니스|ビジネス|중상"
        ),
    ),
    (2, r"a2|pre[ _-]?inter(?:mediate)?|pre(?![^\W\d_])|elementary"),
    (3, r"b1|intermediate|good|gut|conversational|limited working|working knowledge|일상|日常|중급"),
    (1, r"a1|basic|beginner|grundkenntnisse|초급|基礎"),
)
_ENGLISH = tuple((level, re.compile(rf"(?<![^\W\d_])(?:{pattern})(?![^\W_])")) for level, pattern in _LEVELS)


def parse_english_level(value: object) -> int:
    """Return the level of English, 0 (none) to 5 (fluent), by name, CEFR level or usual wording.

    `value` may be the languages of a résumé, among which English is looked for.

    Raises UnreadableCellError.
    """
    if isinstance(value, list | Mapping):
        value = _english_of(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 5:
        return value
    if isinstance(value, str) and len(value) <= MAX_TEXT:
        folded = fold(value).replace("_", " ")
        if folded in {"0", "1", "2", "3", "4", "5"}:
            return int(folded)
        for level, pattern in _ENGLISH:
            if pattern.search(folded):
                return level
    raise UnreadableCellError(
        f"{str(value)[:40]!r} is no level of English; write none, basic, pre_intermediate, intermediate, "
        "upper_intermediate, "
        "fluent, or a CEFR level such as B2"
    )


_ENGLISH_NAME = re.compile(r"english|englisch|영어|anglais|ingles|eng?(?![^\W\d_])")
_MOTHER_TONGUES = ("MotherTongueList", "MotherTongue")  # keys of Europass
_FOREIGN = ("ForeignLanguageList", "ForeignLanguage", "Language")
_LANGUAGE_KEYS = ("language", "name", "LanguageCode", "Label", "Code", "CompetencyName", "CompetencyID")
_LEVEL_KEYS = ("fluency", "level", "proficiency", "Comments")
_CEFR = re.compile(r"[ABC][12]")


def _english_of(languages: Any) -> Any:
    """The level of English in the languages of a résumé.

    JSON Résumé: [{"language": "English", "fluency": "B2"}]; plain: ["English (fluent)"]; Europass and HR-XML:
    objects in which a language has one level for each of listening, reading and so on, of which the lowest
    counts.
    """
    if isinstance(languages, Mapping) and not languages.keys() & {*_LANGUAGE_KEYS, "Description"}:
        if any(_names_english(each) for each in _within(languages, _MOTHER_TONGUES)):
            return "native"
        languages = _within(languages, _FOREIGN)
    for each in languages if isinstance(languages, list) else [languages]:
        if isinstance(each, Mapping) and _names_english(each):
            level = next((each[key] for key in _LEVEL_KEYS if key in each), None)
            return level if level is not None else _lowest_cefr(each)
        if isinstance(each, str) and _names_english(each):
            return each
    raise UnreadableCellError("English is not among the languages")


def _within(value: Any, keys: tuple[str, ...]) -> list[Any]:
    """The objects under the first of `keys` that is there, and under the next ones within it."""
    while isinstance(value, Mapping) and (key := next((key for key in keys if key in value), None)):
        value = value[key]
    return value if isinstance(value, list) else [value]


def _names_english(language: Any) -> bool:
    if isinstance(language, Mapping):
        inner = language.get("Description")
        language = {**language, **inner} if isinstance(inner, Mapping) else language
        return any(
            _names_english(language[key]) for key in _LANGUAGE_KEYS if isinstance(language.get(key), str)
        )
    return isinstance(language, str) and _ENGLISH_NAME.match(fold(language)) is not None


def _lowest_cefr(value: Any) -> str:
    """The lowest CEFR level among the texts within an object."""
    texts: list[Any] = [value]
    levels = []
    while texts:
        each = texts.pop()
        if isinstance(each, Mapping | list):
            texts.extend(each.values() if isinstance(each, Mapping) else each)
        elif isinstance(each, str) and _CEFR.fullmatch(each.strip()):
            levels.append(each.strip())
    return min(levels, default="")


MAX_YEARS = 80


@dataclass(frozen=True)
class Years:
    """Years of experience: what is asked for at least, and at most where a range is written."""

    minimum: Decimal
    maximum: Decimal | None = None


_YEARS = re.compile(
    r"(?<![\d.,])(?P<low>\d{1,2}(?:[.,]\d)?)(?!\d)\s*\+?\s*"
    r"(?:(?:-|–|—|~|to|bis|a)\s*(?P<high>\d{1,2}(?:[.,]\d)?)\s*\+?)?\s*"
    r"(?P<unit>years?|yrs?|yoe|y(?![^\W\d_])|jahre?n?|ans?(?![^\W\d_])|anos?|anni|년차?|年"
    r"|months?|mos?(?![^\W\d_])|monate?|개월)?"
)
_NONE = re.compile(
    r"entry[ -]?level|no experience|none required|graduate|junior(?! to)|신입|경력 ?무관|무관|未経験"
    r"|berufseinsteiger|ohne (?:berufs)?erfahrung|debutant|sin experiencia|no[ _]exp"
)
_WORDS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10",
}  # fmt: skip


def parse_experience(value: object) -> Years:
    """Read "3+ years", "5-7 yrs", "Entry level", "경력 3년", "18 months" or a number.

    Raises UnreadableCellError for anything else. A level without years ("Senior", "Mid") is no number of
    years, and is not made one.
    """
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return Years(_years(Decimal(str(value)), value))
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UnreadableCellError("years of experience such as 3 are needed")
    folded = re.sub(r"[a-z]+", lambda word: _WORDS.get(word[0], word[0]), fold(value))
    for match in _YEARS.finditer(folded):
        whole = folded.strip() == match[0].strip()
        if not match["unit"] and not whole and not re.search(r"경력|experience|erfahrung|経験", folded):
            continue
        months = (match["unit"] or "").startswith(("mo", "개"))
        low, high = (_part(match[name], value, months=months) for name in ("low", "high"))
        if low is not None:
            return Years(low, high if high is not None and high >= low else None)
    if _NONE.search(folded):
        return Years(Decimal(0))
    raise UnreadableCellError(f"{value[:40]!r} says no years of experience; write a number such as 3")


def _part(text: str | None, value: object, *, months: bool) -> Decimal | None:
    if text is None:
        return None
    years = Decimal(text.replace(",", "."))
    return _years(round(years / 12, 1) if months else years, value)


def _years(years: Decimal, value: object) -> Decimal:
    if not years.is_finite() or not 0 <= years <= MAX_YEARS:
        raise UnreadableCellError(f"0 to {MAX_YEARS} years are possible, not {str(value)[:40]!r}")
    return round(years, 1)
