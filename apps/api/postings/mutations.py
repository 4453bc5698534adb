from typing import Any

import graphene

from apps.api.access import require
from apps.api.enums import EmploymentTypeEnum, EnglishLevelEnum, PostingStatusEnum, SalaryPeriodEnum
from apps.api.errors import NotFoundApiError
from apps.api.ids import primary_key
from apps.api.inputs import validated
from apps.api.postings.queries import for_nodes
from apps.api.postings.types import PostingNode
from apps.embeddings.hints import embed_soon
from apps.embeddings.models import Kind
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import close_posting, upsert_postings


class PostingInputType(graphene.InputObjectType):
    """A whole posting: what is left out is empty, also where the posting was there before."""

    class Meta:
        name = "PostingInput"

    source = graphene.String(description="Source it comes from; manual by default")
    external_id = graphene.String(
        required=True, description="What the source calls it: the same again updates it"
    )
    title = graphene.String(required=True, description="Title of the job")
    company = graphene.String(description="Name of the company, created where it is new")
    description = graphene.String(description="Text, in Markdown; skills named in it are found")
    language = graphene.String(description="Language of the text; en by default")
    city = graphene.String(description="City")
    region = graphene.String(description="Region")
    country = graphene.String(description="Country")
    remote = graphene.Boolean(description="Whether the work can be done from anywhere")
    employment_type = EmploymentTypeEnum(description="How somebody is employed")
    experience_years = graphene.Float(description="Years of experience asked for")
    english_level = EnglishLevelEnum(description="Level of English asked for")
    salary_min = graphene.Float(description="Lower end of the salary")
    salary_max = graphene.Float(description="Upper end of the salary")
    salary_currency = graphene.String(description="ISO 4217 code")
    salary_period = SalaryPeriodEnum(description="The period the salary is for; a year by default")
    job_family = graphene.String(description="Job family")
    skills = graphene.List(
        graphene.NonNull(graphene.String), description="Names of skills; unknown ones are added"
    )
    published_at = graphene.DateTime(description="When it was published")
    closes_at = graphene.DateTime(description="Until when one can apply")
    status = PostingStatusEnum(description="Whether it takes applications; open by default")


class UpsertPosting(graphene.Mutation):
    """Creates a posting, or replaces it by source and external id. Its vector follows within seconds.

    For users who may change postings.
    """

    class Arguments:
        input = PostingInputType(required=True, description="The posting")

    posting = graphene.Field(PostingNode, required=True, description="The posting as it stands now")
    created = graphene.Boolean(required=True, description="Whether it is new")

    @staticmethod
    def mutate(_root: None, info: Any, input: dict[str, Any]) -> "UpsertPosting":  # noqa: A002  named by the schema
        require(info, "postings.change_posting")
        upserted = upsert_postings([validated(PostingInput, input, argument="input")])
        if upserted.changed:
            embed_soon(Kind.POSTING)
        key = (upserted.changed + upserted.unchanged)[0]
        return UpsertPosting(
            posting=for_nodes(Posting.objects.filter(pk=key)).get(), created=bool(upserted.inserted)
        )


class ClosePosting(graphene.Mutation):
    """Takes no more applications for a posting. Closing a closed one changes nothing.

    For users who may change postings.
    """

    class Arguments:
        id = graphene.ID(required=True, description="Global id, or primary key")

    posting = graphene.Field(PostingNode, required=True, description="The posting as it stands now")

    @staticmethod
    def mutate(_root: None, info: Any, id: str) -> "ClosePosting":  # noqa: A002  named by the schema
        require(info, "postings.change_posting")
        key = primary_key(id, of="Posting", argument="id")
        if not close_posting(key):
            raise NotFoundApiError(f"there is no posting {key}")
        return ClosePosting(posting=for_nodes(Posting.objects.filter(pk=key)).get())


class PostingMutations(graphene.ObjectType):
    close_posting = ClosePosting.Field(required=True)
    upsert_posting = UpsertPosting.Field(required=True)
