"""The validated input of a candidate."""

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from apps.records.input_errors import NAMES_FIELDS
from apps.records.inputs import RecordInput, Text, clean
from apps.safe_text import refuse_control_characters


class CandidateInput(RecordInput):
    """A candidate, as an import, GraphQL or the admin passes it. `salary_min` is the expected salary."""

    text_fields: ClassVar[tuple[str, ...]] = ("headline", "looking_for", "resume")

    headline: Annotated[
        str, BeforeValidator(clean), AfterValidator(refuse_control_characters), Field(max_length=500)
    ] = ""
    resume: Text = ""
    looking_for: Text = ""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not (self.headline or self.resume or self.looking_for or self.skills):
            raise PydanticCustomError(
                NAMES_FIELDS, "empty: a candidate needs a headline, a resume, `looking_for` or skills"
            )
        return self


class CandidateRow(CandidateInput):
    """A candidate as a file has it: one that is there already may be described by any field."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        return self

    def lacking(self) -> tuple[str, str] | None:
        """Return the field without which the row cannot be new, and what is wrong."""
        if self.headline or self.resume or self.looking_for or self.skills:
            return None
        return "", "empty: a candidate needs a headline, a resume, looking_for or skills"
