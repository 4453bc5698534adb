"""Every example of the docs is run against the schema and real rows."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from graphene_django.settings import graphene_settings
from graphql import OperationDefinitionNode, parse
from graphql_relay import to_global_id

from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun
from tests.integration.api.conftest import Api, key

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("docs/reference/graphql.md", "docs/quick-start.md", "README.md")
# A query, and its variables if a block of JSON follows it
BLOCKS = re.compile(r"^```graphql\n(.*?)^```$(?:\s*^```json\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """One request of the docs."""

    page: str
    query: str
    variables: dict[str, Any] = field(hash=False)

    @property
    def root_fields(self) -> list[str]:
        """Names of the fields of Query or Mutation that it selects."""
        [operation] = parse(self.query).definitions
        assert isinstance(operation, OperationDefinitionNode)
        return [node.name.value for node in operation.selection_set.selections]  # type: ignore[attr-defined]


def examples() -> Iterator[Example]:
    """Every request of the pages, in their order."""
    for page in PAGES:
        for query, variables in BLOCKS.findall((ROOT / page).read_text()):
            yield Example(page, query, json.loads(variables or "{}"))


@pytest.fixture
def ids(corpus: EmbeddingModel) -> dict[str, str]:
    """What the placeholders in the variables stand for."""
    run = EmbeddingRun.objects.create(kind="posting", model=corpus, state="running", rows=30)
    DeadLetter.objects.create(
        kind="posting",
        row_id=int(key("p1")),
        model=corpus,
        run=run,
        content_hash=b"x",
        step="encode",
        error="the vector is not finite",
    )
    node = to_global_id("Posting", key("p1"))
    return {"POSTING": key("p1"), "POSTING_NODE": node, "CANDIDATE": key("c1"), "RUN": str(run.pk)}


@pytest.fixture
def administrator(db: None) -> Api:
    return Api(User.objects.create_superuser("administrator"))


@pytest.mark.parametrize(
    "example",
    list(examples()),
    ids=lambda example: f"{Path(example.page).stem}-{'-'.join(example.root_fields)}",
)
def test_an_example_is_answered_without_an_error(
    example: Example, administrator: Api, ids: dict[str, str]
) -> None:
    if "resumeEmbeddingRun" in example.root_fields:
        EmbeddingRun.objects.update(state="paused")
    variables = {
        name: ids.get(value, value) if isinstance(value, str) else value
        for name, value in example.variables.items()
    }
    data = administrator.data(example.query, **variables)
    for name in example.root_fields:
        found = data[name]
        assert found not in (None, []), "the example finds nothing"
        assert not isinstance(found, dict) or found.get("edges") != [], "the example finds nothing"


def test_every_query_and_mutation_has_an_example() -> None:
    schema = graphene_settings.SCHEMA.graphql_schema
    declared = {*schema.query_type.fields, *schema.mutation_type.fields}
    shown = {name for example in examples() if example.page == PAGES[0] for name in example.root_fields}
    assert shown == declared
