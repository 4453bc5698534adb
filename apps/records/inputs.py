"""What may be written into a record: one validated form for imports, GraphQL and commands."""

import datetime as dt
import re
import unicodedata
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from apps.records.models import EnglishLevel, SalaryPeriod

LONGEST_TEXT = 1_000_000  # characters of one field
LIST_SEPARATOR = re.compile(r"\s*[;,\n]\s*")


def clean(value: Any) -> Any:
    """As `verbatim`, and composed: "é" may be one character or two, and is the same to a reader."""
    value = verbatim(value)
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def verbatim(value: Any) -> Any:
    """Numbers become text; what PostgreSQL or a reader could not take is refused."""
    if type(value) is str and value.isascii() and "\x00" not in value:  # as good as all
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    elif isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        raise ValueError(f"holds a NUL character at position {value.index(chr(0)) + 1}; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"holds half a surrogate pair at position {error.start + 1}; remove it"
            ) from None
    return value.strip()


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(value[error.start : error.start + 1], error.start)) from None


def not_utf8(octet: bytes, position: int) -> str:
    return f"not UTF-8: octet 0x{octet.hex()} at position {position + 1}; save the file as UTF-8"


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        return [part for part in LIST_SEPARATOR.split(value) if part]
    return value


_LEVELS = {level.name.casefold(): level for level in EnglishLevel} | {
    "a1": EnglishLevel.BASIC,
    "a2": EnglishLevel.PRE_INTERMEDIATE,
    "b1": EnglishLevel.INTERMEDIATE,
    "b2": EnglishLevel.UPPER_INTERMEDIATE,
    "c1": EnglishLevel.FLUENT,
    "c2": EnglishLevel.FLUENT,
    "native": EnglishLevel.FLUENT,
}


def _level(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    level = _LEVELS.get(re.sub(r"[\s-]+", "_", value.strip().casefold()))
    if level is None:
        raise ValueError(f"{value[:40]!r} is no English level; there are {', '.join(_LEVELS)}")
    return level


def _moment(value: Any) -> Any:
    """A date means its first moment, and a time without a zone is in UTC."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f"{value[:40]!r} is no date; write 2026-11-23 or 2026-11-23T08:00:00+00:00"
            ) from None
    if type(value) is dt.date:
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=dt.UTC)
        # Read back in any time zone it must be a date that Python has.
        if not 1 < value.year < dt.MAXYEAR:
            raise ValueError(f"the year {value.year} is none in which postings appear or close")
    return value


Text = Annotated[str, BeforeValidator(clean), Field(max_length=LONGEST_TEXT)]
Name = Annotated[str, BeforeValidator(clean), Field(max_length=120)]
Strings = Annotated[
    list[Annotated[str, BeforeValidator(clean), Field(max_length=100)]], BeforeValidator(_strings)
]
Moment = Annotated[dt.datetime, BeforeValidator(_moment)]
MOST_YEARS, MOST_MONEY = 80, 10**10
Money = Annotated[Decimal, Field(ge=0, lt=MOST_MONEY)]


class RecordInput(BaseModel):
    """Fields of every record. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True, validate_default=False)

    # Fields whose text is searched for skills, besides being embedded.
    text_fields: ClassVar[tuple[str, ...]] = ()

    # Keys of stored rows, so as the source writes them.
    source: Annotated[str, BeforeValidator(verbatim), Field(min_length=1, max_length=64)] = "manual"
    external_id: Annotated[str, BeforeValidator(verbatim), Field(min_length=1, max_length=200)]
    # Error messages and --help quote the description: see input_errors.py.
    language: Annotated[
        str,
        BeforeValidator(clean),
        Field(pattern=r"^[A-Za-z]{2,3}([-_]\w{2,4})?$", description="a code such as en or pt-BR"),
    ] = "en"
    city: Name = ""
    region: Name = ""
    country: Name = ""
    remote: bool = False
    experience_years: (
        Annotated[Decimal, Field(ge=0, le=MOST_YEARS), AfterValidator(lambda years: round(years, 1))] | None
    ) = None
    english_level: Annotated[
        EnglishLevel | None, BeforeValidator(_level), Field(description=f"one of {', '.join(_LEVELS)}")
    ] = None
    salary_min: Money | None = None
    salary_currency: Annotated[
        str,
        BeforeValidator(clean),
        Field(pattern="^([A-Z]{3})?$", description="a code of three capital letters such as EUR"),
    ] = ""
    salary_period: SalaryPeriod = SalaryPeriod.YEAR
    # At most so many; a default list would be copied deeply for each row.
    skills: Strings = Field(default_factory=list, max_length=500)

    def columns(self) -> dict[str, Any]:
        """Values by model field, the skills apart."""
        values = self.__dict__.copy()  # iterating over the model is slow
        del values["skills"]
        return values

    def text(self) -> str:
        """All text in which skills are looked for."""
        return "\n".join(getattr(self, name) for name in self.text_fields)


def field_names(form: type[RecordInput]) -> frozenset[str]:
    return frozenset(form.model_fields)
