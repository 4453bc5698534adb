from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from apps.postings.models import EmploymentType, Posting
from apps.records.inputs import Moment, Money, Name, RecordInput, Text, clean


class PostingInput(RecordInput):
    """A posting as an import or a program writes it."""

    text_fields: ClassVar[tuple[str, ...]] = ("title", "description")

    title: Annotated[str, BeforeValidator(clean), Field(min_length=1, max_length=500)]
    company: Annotated[str, BeforeValidator(clean), Field(max_length=200)] = ""
    description: Text = ""
    employment_type: EmploymentType | Literal[""] = ""
    salary_max: Money | None = None
    job_family: Name = ""
    published_at: Moment | None = None
    closes_at: Moment | None = None
    status: Posting.Status = Posting.Status.OPEN

    @model_validator(mode="after")
    def _salary_is_a_range(self) -> Self:
        if self.salary_min is not None and self.salary_max is not None and self.salary_max < self.salary_min:
            raise ValueError(f"salary_max {self.salary_max} is less than salary_min {self.salary_min}")
        return self
