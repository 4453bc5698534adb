"""The query `node`, by global ids that no two objects share."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from graphql_relay import to_global_id

from apps.candidates.models import Candidate
from apps.embeddings.models import DeadLetter, EmbeddingModel, EmbeddingRun
from apps.postings.models import Company, Posting
from tests.integration.api.conftest import Api

KEY = 5_000_000  # of all objects, beyond those of the corpus
QUERY = "query($id: ID!) { node(id: $id) { id __typename ... on Posting { title company { id } } } }"


@pytest.fixture
def ids(corpus: EmbeddingModel) -> dict[str, str]:
    """The global id of one object of each type, all of them with one primary key."""
    Posting.objects.update(company=None)
    company = Company.objects.create(pk=KEY, name="Acme")
    Posting.objects.create(pk=KEY, external_id="one", title="Cook", company=company)
    Candidate.objects.create(pk=KEY, external_id="one", headline="Cook")
    run = EmbeddingRun.objects.create(pk=KEY, kind="posting", model=corpus, state="running")
    DeadLetter.objects.create(
        pk=KEY, kind="posting", row_id=1, model=corpus, run=run, content_hash=b"x", step="encode", error="x"
    )
    return {
        name: to_global_id(name, KEY)
        for name in ("Posting", "Company", "Candidate", "EmbeddingRun", "DeadLetter")
    }


def test_node_returns_the_object_of_the_type_and_key_of_its_id(ids: dict[str, str]) -> None:
    everything = Api(User.objects.create_superuser("all-seeing"))
    found = {name: everything.data(QUERY, id=node_id)["node"] for name, node_id in ids.items()}
    assert {name: (node["__typename"], node["id"]) for name, node in found.items()} == {
        name: (name, node_id) for name, node_id in ids.items()
    }
    assert (found["Posting"]["title"], found["Posting"]["company"]["id"]) == ("Cook", ids["Company"])
    query = '{ topCompanies(first: 1) { id } postings(filter: {company: "Acme"}) { edges { node { id } } } }'
    data = everything.data(query)
    assert data["topCompanies"] == [{"id": ids["Company"]}]
    assert data["postings"]["edges"] == [{"node": {"id": ids["Posting"]}}]


def test_node_is_refused_to_those_who_may_not_see_its_type(ids: dict[str, str], anonymous: Api) -> None:
    assert anonymous.data(QUERY, id=ids["Posting"])["node"]["title"] == "Cook"
    assert anonymous.data(QUERY, id=ids["Company"])["node"]["__typename"] == "Company"
    for name in ("Candidate", "EmbeddingRun", "DeadLetter"):
        assert anonymous.error(QUERY, id=ids[name])[0] == "UNAUTHENTICATED"
    own = User.objects.create_user("own")
    Candidate.objects.filter(pk=KEY).update(user=own)
    assert Api(own).data(QUERY, id=ids["Candidate"])["node"]["__typename"] == "Candidate"
    assert Api(own).error(QUERY, id=to_global_id("Candidate", 2))[0] == "FORBIDDEN"


@pytest.mark.parametrize("node_id", ["1", "", "x", to_global_id("Skill", 1), to_global_id("Posting", "x")])
def test_node_with_an_id_that_is_none_is_a_wrong_argument(db: Any, anonymous: Api, node_id: str) -> None:
    code, message = anonymous.error(QUERY, id=node_id)
    assert (code, "id" in message) == ("BAD_USER_INPUT", True)


def test_node_that_does_not_exist_is_null(db: Any, anonymous: Api) -> None:
    assert anonymous.data(QUERY, id=to_global_id("Posting", 999_999))["node"] is None
