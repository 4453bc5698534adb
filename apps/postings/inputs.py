"""The validated input of a posting."""

from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from apps.postings.models import EmploymentType, Posting
from apps.records.input_errors import NAMES_FIELDS
from apps.records.inputs import Moment, Money, Name, RecordInput, Text, clean
from apps.safe_text import refuse_control_characters


class PostingInput(RecordInput):
    """A posting, as an import, GraphQL or the admin passes it."""

    text_fields: ClassVar[tuple[str, ...]] = ("title", "description")

    title: Annotated[
        str,
        BeforeValidator(clean),
        AfterValidator(refuse_control_characters),
        Field(min_length=1, max_length=500),
    ]
    company: Annotated[
        str, BeforeValidator(clean), AfterValidator(refuse_control_characters), Field(max_length=200)
    ] = ""
    description: Text = ""
    employment_type: EmploymentType | Literal[""] = ""
    salary_max: Money | None = None
    job_family: Name = ""
    published_at: Moment | None = None
    closes_at: Moment | None = None
    status: Posting.Status = Posting.Status.OPEN

    @field_validator("salary_max")
    @classmethod
    def _salary_is_a_range(cls, maximum: Decimal | None, info: ValidationInfo) -> Decimal | None:
        minimum = info.data.get("salary_min")
        if minimum is not None and maximum is not None and maximum < minimum:
            raise PydanticCustomError(
                NAMES_FIELDS,
                f"`salary_max` {maximum.normalize():f} is less than `salary_min` {minimum.normalize():f}",
            )
        return maximum


class PostingRow(PostingInput):
    """A posting as a file has it: one that is there already needs no title."""

    title: Annotated[
        str, BeforeValidator(clean), AfterValidator(refuse_control_characters), Field(max_length=500)
    ] = ""

    def lacking(self) -> tuple[str, str] | None:
        """Return the field without which the row cannot be new, and what is wrong."""
        return None if self.title else ("title", "missing; a new row needs one")
