"""The validated input of a record, for imports, GraphQL, the admin and commands."""

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
from apps.records.normalizing.gazetteer import country_code
from apps.safe_text import refuse_control_characters

MAX_TEXT_CHARACTERS = 1_000_000  # of one field
LIST_SEPARATOR = re.compile(r"\s*[;,\n]\s*")


def clean(value: Any) -> Any:
    """Return the text of `verbatim` with composed characters: "é" of two characters becomes one."""
    value = verbatim(value)
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def verbatim(value: Any) -> Any:
    """Return numbers and bytes as stripped text. Raises ValueError for text that PostgreSQL cannot store."""
    if type(value) is str and value.isascii() and "\x00" not in value:  # the fast path of nearly all values
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    elif isinstance(value, bytes):
        value = _decoded(value)
    if not isinstance(value, str):
        return value
    if "\x00" in value:
        raise ValueError(f"contains a NUL character at position {value.index(chr(0)) + 1}; remove it")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"contains half a surrogate pair at position {error.start + 1}; remove it"
            ) from None
    return value.strip()


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(value[error.start : error.start + 1], error.start)) from None


def not_utf8(byte: bytes, position: int) -> str:
    """Describe a byte, at a position that counts from 0, that is not UTF-8."""
    return f"not UTF-8: byte 0x{byte.hex()} at position {position + 1}; save the file as UTF-8"


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
        raise ValueError(f"{value[:40]!r} is not an English level; use one of {', '.join(_LEVELS)}")
    return level


def _moment(value: Any) -> Any:
    """Return a time with a zone: a date becomes its first moment; a time without a zone is in UTC."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f"{value[:40]!r} is not a date; write 2026-11-23 or 2026-11-23T08:00:00+00:00"
            ) from None
    if type(value) is dt.date:
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=dt.UTC)
        # Converted to any time zone it must stay within the years that Python knows.
        if not 1 < value.year < dt.MAXYEAR:
            raise ValueError(f"the year {value.year} is out of range")
    return value


Text = Annotated[str, BeforeValidator(clean), Field(max_length=MAX_TEXT_CHARACTERS)]
Name = Annotated[
    str, BeforeValidator(clean), AfterValidator(refuse_control_characters), Field(max_length=120)
]
Strings = Annotated[
    list[
        Annotated[
            str, BeforeValidator(clean), AfterValidator(refuse_control_characters), Field(max_length=100)
        ]
    ],
    BeforeValidator(_strings),
]
Moment = Annotated[dt.datetime, BeforeValidator(_moment)]
MAX_YEARS, MAX_MONEY = 80, 10**10
Money = Annotated[Decimal, Field(ge=0, lt=MAX_MONEY)]


def _country(name: str) -> str:
    """Replace the name of a country by its ISO 3166 alpha-2 code; an unknown name stays."""
    return country_code(name) or name


class PlaceInput(BaseModel):
    """One of several places of a row."""

    model_config = ConfigDict(extra="forbid")

    city: Name = ""
    region: Name = ""
    country: Annotated[Name, AfterValidator(_country)] = ""


class RecordInput(BaseModel):
    """Fields of every record. Unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True, validate_default=False)

    # Fields that are embedded and searched for skills.
    text_fields: ClassVar[tuple[str, ...]] = ()
    # Fields that only imports fill.
    import_only: ClassVar[frozenset[str]] = frozenset({"places", "salary_text"})

    # Together the key of a stored row, so they stay exactly as the source writes them.
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
    country: Annotated[Name, AfterValidator(_country)] = ""
    places: list[PlaceInput] = Field(default_factory=list, max_length=50)
    remote: bool = False
    experience_years: (
        Annotated[Decimal, Field(ge=0, le=MAX_YEARS), AfterValidator(lambda years: round(years, 1))] | None
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
    salary_text: Annotated[str, BeforeValidator(clean), Field(max_length=300)] = ""
    # At most so many; a default list would be copied deeply for each row.
    skills: Strings = Field(default_factory=list, max_length=500)

    def columns(self) -> dict[str, Any]:
        """Return the values by model field, without the skills; the coordinates are not known yet."""
        values = self.__dict__.copy()  # iterating over a pydantic model is slow
        del values["skills"]
        values["places"] = self.value("places")
        values["coordinates"] = []
        return values

    def lacking(self) -> tuple[str, str] | None:
        """Return the field without which the row cannot be new, and what is wrong; None where nothing lacks.

        Only the forms of imports may lack one: a narrow file may update rows that are there.
        """
        return None

    def value(self, name: str) -> Any:
        """Return the value of a field as it is stored."""
        return [place.model_dump() for place in self.places] if name == "places" else getattr(self, name)

    def text(self) -> str:
        """Return the text that is searched for skills."""
        return "\n".join(getattr(self, name) for name in self.text_fields)


def field_names(form: type[RecordInput]) -> frozenset[str]:
    """Return the names of all fields of an input."""
    return frozenset(form.model_fields)
