"""Read salaries: one amount or a range, with a currency and a period where they are written."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold

MAX_TEXT = 300  # characters of a salary; a longer text is a description
MAX_AMOUNT = Decimal(10**10)

_SYMBOLS = {
    "us$": "USD", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "s$": "SGD",
    "hk$": "HKD", "r$": "BRL", "mx$": "MXN", "$": "USD", "€": "EUR", "£": "GBP", "₹": "INR", "₩": "KRW",
    "₽": "RUB", "₴": "UAH", "₺": "TRY", "₫": "VND", "₦": "NGN", "₪": "ILS", "₱": "PHP", "฿": "THB",
    "zł": "PLN", "kč": "CZK", "chf": "CHF", "円": "JPY", "원": "KRW", "元": "CNY", "rs.": "INR", "rs": "INR",
    "руб": "RUB", "грн": "UAH",
}  # fmt: skip
# Signs that several currencies share: the posting's country decides, else the most frequent use.
_SHARED = {
    "$": {
        "US": "USD", "CA": "CAD", "AU": "AUD", "NZ": "NZD", "SG": "SGD", "HK": "HKD", "MX": "MXN",
        "CL": "CLP", "CO": "COP",
    },
    "¥": {"JP": "JPY", "CN": "CNY"},
    "kr": {"SE": "SEK", "NO": "NOK", "DK": "DKK", "IS": "ISK"},
    "rs": {"IN": "INR", "PK": "PKR", "LK": "LKR", "NP": "NPR"},
}  # fmt: skip
_WORDS = {
    "euro": "EUR", "euros": "EUR", "dollar": "USD", "dollars": "USD", "pound": "GBP", "pounds": "GBP",
    "yen": "JPY", "won": "KRW",
}  # fmt: skip
# ISO 4217 codes of salaries. Other words of three capitals ("FTE", "DOE") are no currency.
_CODES = frozenset(
    [
        "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BRL", "BYN", "CAD", "CHF", "CLP", "CNY", "COP", "CZK",
        "DKK", "DZD", "EGP", "ETB", "EUR", "GBP", "GEL", "GHS", "HKD", "HRK", "HUF", "IDR", "ILS", "INR",
        "ISK", "JOD", "JPY", "KES", "KRW", "KWD", "KZT", "LBP", "LKR", "MAD", "MXN", "MYR", "NGN", "NOK",
        "NPR", "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD",
        "THB", "TND", "TRY", "TWD", "TZS", "UAH", "UGX", "USD", "UYU", "UZS", "VND", "XAF", "XOF", "ZAR",
    ]
)  # fmt: skip
_PERIODS = {
    "hour": r"hours?|hourly|hr|hrs|h|stunde|std|stundlich|heure|hora|timme|godz|час|시급|시간|時給",
    "day": r"days?|daily|tag|taglich|jour|dia|dag|dzien|день|일급|日給|per diem",
    "week": r"weeks?|weekly|wk|woche|wochentlich|semaine|semana|주급|週給",
    "month": (
        r"months?|monthly|mo|mth|monat|monatlich|mois|mes|manad|maned|mnd|mies|miesiac|miesiecznie|месяц"
        r"|мес|월급|월|月給|月"
    ),
    "year": (
        r"years?|yearly|annually|annual|annum|yr|yrs|pa|p\.a\.?|jahr|jahrlich|/\s*an|par an|por ano|al ano"
        r"|ar|rok|rocznie|год|연봉|년|年俸|年収|年"
    ),
}
_PERIOD = re.compile(
    "|".join(f"(?P<{name}>(?<![^\\W\\d_])(?:{words})(?![^\\W\\d_]))" for name, words in _PERIODS.items())
)
_SIGN = re.compile(
    r"us\$|ca\$|c\$|au\$|a\$|nz\$|s\$|hk\$|mx\$|r\$|[$€£₹₩₽₴₺₫₦₪₱฿¥円원元]|руб|грн"
    r"|(?<![^\W\d_])(?:zł|zl|kč|kc|chf|kr|rs)(?![^\W\d_])"
)
_NUMBER = re.compile(
    r"(?P<digits>\d(?:[\d.,'’\u00a0\u202f]|[ ](?=\d{3}(?!\d|[kb](?![^\W\d_]))))*)\s*"
    r"(?P<scale>k(?![^\W\d_])|тыс|mio|mn"
    r"|m(?![^\W\d_])|lakhs?|lpa|억|천만|백만|만|천|万|千)?"
)
_SCALES = {
    "k": 10**3, "тыс": 10**3, "천": 10**3, "千": 10**3, "만": 10**4, "万": 10**4, "lakh": 10**5,
    "lakhs": 10**5, "lpa": 10**5, "m": 10**6, "mn": 10**6, "mio": 10**6, "백만": 10**6, "천만": 10**7,
    "억": 10**8,
}  # fmt: skip
# Hours of work, of which neither the number nor the unit is of a salary: "40 hours per week".
_HOURS_A_WEEK = re.compile(r"\d{1,2}(?:[.,]\d)?\s*(?:hours|hrs|h|std|stunden)\.?\s*(?:/|per|a|pro)\s*w\w*")
# Between two amounts of one range. A plus sign or "from" leaves the range open at its upper end.
_BETWEEN = re.compile(r"\s*(?:[-–—−~〜～]|to|bis|until|up to|and|und|a|à|부터)\s*$")
_UP_TO = re.compile(r"(?<![^\W\d_])(?:up to|max(?:imum)?\.?|bis zu|bis|jusqu'a|hasta)\s*\S{0,3}\s*$")
_NO_AMOUNT = re.compile(
    r"competitive|negotiable|doe|depending|depends on|market|attractive|verhandlungsbasis|nach vereinbarung"
    r"|협의|면접|내규|応相談|面议"
)


@dataclass(frozen=True)
class Salary:
    """Amounts of one period; one end is None in an open range. `currency` and `period` may be ""."""

    minimum: Decimal | None
    maximum: Decimal | None
    currency: str
    period: str


def parse_salary(text: str, *, country: str = "") -> Salary | None:
    """Read a salary such as "€45.000 – 60.000 p.a.", "$80k-$120k/yr" or "연봉 4,000만원".

    `country` (ISO 3166 alpha-2) decides between currencies that share a sign. Returns None where the text
    says that there is no figure ("competitive", "DOE"). Raises UnreadableCellError where it holds no amount
    or several that form no range.
    """
    if len(text) > MAX_TEXT:
        raise UnreadableCellError(
            f"a salary of at most {MAX_TEXT} characters is needed, not a text of {len(text):,}"
        )
    folded = _HOURS_A_WEEK.sub(" ", fold(text))
    numbers = [match for match in _NUMBER.finditer(folded) if _is_amount(folded, match)]
    if not numbers:
        if _NO_AMOUNT.search(folded):
            return None
        raise UnreadableCellError(
            f"no salary in {text[:40]!r}; write 45000 or 45000-60000, with a currency such as EUR"
        )
    amounts = [_amount(match) for match in numbers]
    low, high = _range(text, folded, numbers, amounts)
    if low is not None and high is not None and low > high:
        low, high = high, low
    rest = _NUMBER.sub(" ", folded)
    period = _PERIOD.search(rest)
    scale = numbers[-1]["scale"] or ""
    return Salary(low, high, _currency(text, folded, country, scale), _period_name(period, scale))


def parse_amount(text: str) -> Decimal:
    """Read a number as any country writes it: "80.000,00", "1,234.5". Raises UnreadableCellError."""
    match = _NUMBER.fullmatch(fold(text))
    if match is None:
        raise UnreadableCellError(f"a number is needed, not {text[:40]!r}")
    return _amount(match)


def _is_amount(text: str, match: re.Match[str]) -> bool:
    """Leave out numbers of a bonus in percent, of figures ("6 figures"), and plans such as "401k"."""
    after, before = text[match.end() : match.end() + 12], text[max(match.start() - 1, 0) : match.start()]
    if re.match(r"\s*%|[\s-]*figures?(?![^\W\d_])", after):
        return False
    return match[0] not in {"401k", "403b", "401"} and not ("a" <= before <= "z")


def _amount(match: re.Match[str]) -> Decimal:
    value = _decimal(match["digits"]) * _SCALES.get(match["scale"] or "", 1)
    if value >= MAX_AMOUNT:
        raise UnreadableCellError(f"an amount below {MAX_AMOUNT:,} is needed, not {match[0][:40]}")
    return value


def _decimal(digits: str) -> Decimal:
    """The last separator is a decimal point where one or two digits follow it, and it stands there once."""
    digits = re.sub(r"[ '’\u00a0\u202f]", "", digits).rstrip(".,")
    last = max(digits.rfind("."), digits.rfind(","))
    if last >= 0:
        sign, places = digits[last], len(digits) - last - 1
        if (
            places == 3
            and digits.count(sign) >= 1
            and not ("." in digits and "," in digits and digits.count(sign) > 1)
        ):
            whole, part = digits, ""
            if "." in digits and "," in digits and digits.count(sign) == 1:
                whole, part = digits[:last], digits[last + 1 :]  # 1.234,567
        elif digits.count(sign) > 1:
            whole, part = digits, ""
        else:
            whole, part = digits[:last], digits[last + 1 :]
        digits = re.sub(r"[.,]", "", whole) + (f".{part}" if part else "")
    try:
        return Decimal(digits)
    except InvalidOperation as error:
        raise UnreadableCellError(f"a number is needed, not {digits[:40]!r}") from error


def _range(
    text: str, folded: str, numbers: list[re.Match[str]], amounts: list[Decimal]
) -> tuple[Decimal | None, Decimal | None]:
    """Return (minimum, maximum) of the first one or two amounts."""
    if len(numbers) >= 2:
        first, second = numbers[0], numbers[1]
        between = _SIGN.sub("", _PERIOD.sub("", folded[first.end() : second.start()]))
        between = re.sub(r"[\s/.]|per|pro|\b[a-z]{3}\b(?<!and)(?<!und)(?<!bis)", " ", between)
        if _BETWEEN.fullmatch(" " + between.strip() + " ") or _BETWEEN.fullmatch(between.strip()):
            low, high = amounts[0], amounts[1]
            if not first["scale"] and second["scale"] and low < high:
                low *= _SCALES[second["scale"]]  # "45-60k"
            return low, high
        raise UnreadableCellError(f"several amounts that form no range in {text[:60]!r}; write 45000-60000")
    if _UP_TO.search(folded[: numbers[0].start()]):
        return None, amounts[0]
    return amounts[0], None


def _currency(text: str, folded: str, country: str, scale: str) -> str:
    for code in re.findall(r"(?<![A-Za-z])[A-Z]{3}(?![A-Za-z])", text):
        if code in _CODES:
            return str(code)
    for code in re.findall(r"(?<![a-z])[a-z]{3}(?![a-z])", folded):
        if code.upper() in _CODES and code not in {"all", "try", "top"}:
            return str(code).upper()
    if sign := _SIGN.search(folded):
        shared = _SHARED.get(sign[0])
        if shared is not None and country in shared:
            return shared[country]
        known = {"zl": "PLN", "kc": "CZK", "¥": "JPY"} | _SYMBOLS
        return known.get(sign[0], "")
    for word, code in _WORDS.items():
        if re.search(rf"(?<![a-z]){word}(?![a-z])", folded):
            return code
    return {"만": "KRW", "천만": "KRW", "억": "KRW", "lpa": "INR", "lakh": "INR", "lakhs": "INR"}.get(
        scale, ""
    )


def _period_name(period: re.Match[str] | None, scale: str) -> str:
    if period is not None:
        return str(period.lastgroup)
    return "year" if scale == "lpa" else ""
