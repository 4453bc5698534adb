"""Mutations that write postings."""

from typing import Any

import graphene

from apps.api.access import name_of, require
from apps.api.errors import NotFoundApiError
from apps.api.ids import primary_key
from apps.api.inputs import form_input
from apps.api.postings.types import PostingNode
from apps.api.records import POSTINGS
from apps.postings.inputs import PostingInput
from apps.postings.services import close_posting

CHANGE_POSTINGS = "postings.change_posting"

PostingInputType = form_input(
    PostingInput,
    PostingNode,
    description=("A whole posting. A missing field becomes empty, even if the posting had a value before."),
    field_descriptions={
        "source": "Source of the posting; manual by default",
        "external_id": "Id of the posting at its source; the posting with this source and id is replaced",
        "company": "Name of the company, which is created if it does not exist",
        "description": "Text, in Markdown. Skills that it names are added to those of the posting",
        "language": "Language of the text, such as en; by default what it is detected to be, else en",
        "skills": "Names of the skills asked for. Names that the dictionary lacks are added as unlisted",
        "salary_period": "The period the salary is paid for; a year by default",
        "status": "Whether the posting takes applications; open by default",
    },
)


class UpsertPosting(graphene.Mutation):
    """Create a posting, or replace the one with the same source and external id.

    Its vector follows within seconds. For users who may change postings.
    """

    class Arguments:
        input = PostingInputType(required=True, description="The posting")

    posting = graphene.Field(PostingNode, required=True, description="The posting after the mutation")
    created = graphene.Boolean(required=True, description="True if the posting is new")

    @staticmethod
    def mutate(_root: None, info: Any, input: dict[str, Any]) -> "UpsertPosting":  # noqa: A002  named by the schema
        require(info, CHANGE_POSTINGS)
        posting, created = POSTINGS.upsert(POSTINGS.read_input(input), by=name_of(info))
        return UpsertPosting(posting=posting, created=created)


class ClosePosting(graphene.Mutation):
    """Stop a posting from taking applications. A posting that is closed already stays as it is.

    For users who may change postings.
    """

    class Arguments:
        id = graphene.ID(required=True, description="Global id or primary key of the posting")

    posting = graphene.Field(PostingNode, required=True, description="The posting after the mutation")

    @staticmethod
    def mutate(_root: None, info: Any, id: str) -> "ClosePosting":  # noqa: A002  named by the schema
        require(info, CHANGE_POSTINGS)
        key = primary_key(id, of="Posting", argument="id")
        if not close_posting(key, by=name_of(info)):
            raise NotFoundApiError(f"there is no posting {key}")
        return ClosePosting(posting=POSTINGS.node(key))


class PostingMutations(graphene.ObjectType):
    """The mutations of this module, as a part of the schema's Mutation."""

    close_posting = ClosePosting.Field(required=True)
    upsert_posting = UpsertPosting.Field(required=True)
