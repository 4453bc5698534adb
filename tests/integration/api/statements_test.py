"""The number of SQL statements of each query: fixed, whatever the size of its page.

The selections are made from the schema, with every field of every type. So these tests also notice a new
field that reads the database once for each row.
"""

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLOutputType
from graphql.type import get_named_type
from graphql_relay import to_global_id

from apps.api.schema import schema
from apps.candidates.models import Candidate
from apps.embeddings.index import index_name
from apps.embeddings.models import DeadLetter, EmbeddingChunk, EmbeddingRun, Kind
from apps.recommendations.text_index import update_text_index
from apps.rpc.errors import TransientRpcError
from tests.conftest import empty_caches
from tests.integration.api.conftest import Api, key

# Arguments, and the statements of an answer that no cache knows. Two of them are the session and its user.
QUERIES: dict[str, tuple[str, int]] = {
    "candidate": ("id: $candidate", 5),
    "candidates": ("first: $first", 5),
    "categoryDistribution": ('skills: ["Python", "PostgreSQL"]', 4),
    "dashboard": ("kind: POSTING, first: $first", 8),
    "deadLetters": ("first: $first", 4),
    "embeddingRuns": ("first: $first", 4),
    "node": ("id: $node", 4),
    "posting": ("id: $posting", 4),
    "postings": ("first: $first", 5),
    "recommendedCandidates": ("postingId: $posting, first: $first", 35),
    "recommendedPostings": ("candidateId: $candidate, first: $first", 39),
    "recommendedPostingsForProfile": ('profile: {text: "postings", skills: ["Python"]}, first: $first', 35),
    "searchCandidates": ('text: "candidate", skills: ["Python"], first: $first', 32),
    "searchPostings": ('text: "posting", skills: ["Python"], first: $first', 35),
    "searchStatistics": ('kind: POSTING, skills: ["Python"], first: $first', 8),
    "similarPostings": ("postingId: $posting, first: $first", 34),
    "skillCategories": ("", 3),
    "skillMatch": ("postingId: $posting, candidateId: $candidate", 9),
    "topCompanies": ("first: $first", 3),
}
TYPES = {"first": "Int", "posting": "ID!", "candidate": "ID!", "node": "ID!"}


@pytest.fixture
def reader(corpus: Any, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A superuser, over a corpus with runs and dead letters. Texts have a vector at once."""
    monkeypatch.setattr(
        "apps.recommendations.profiles.query_vector",
        lambda *_: [float(np.cos(0.1)), float(np.sin(0.1)), 0.0, 0.0],
    )
    for kind in ("posting", "candidate"):
        update_text_index(kind, limit=1_000)
    for number in range(8):
        run = EmbeddingRun.objects.create(kind="posting", model=corpus, state=EmbeddingRun.State.FINISHED)
        EmbeddingChunk.objects.create(run=run, wave=0, number=0, row_ids=[1], rows=1, text_bytes=1)
        DeadLetter.objects.create(
            kind="posting", row_id=number, model=corpus, content_hash=b"x", step="encode", error="not finite"
        )
    return Api(User.objects.create_superuser("all-seeing"))


def test_every_query_has_a_known_number_of_statements() -> None:
    query = schema.graphql_schema.query_type
    assert query is not None
    assert set(QUERIES) == set(query.fields)


@pytest.mark.parametrize("name", QUERIES)
def test_statements_of_an_uncached_response_do_not_grow_with_its_page(reader: Api, name: str) -> None:
    arguments, expected = QUERIES[name]
    known: dict[str, Any] = {"posting": key("p5"), "candidate": key("c1")}
    known["node"] = to_global_id("Posting", key("p5"))
    assert [_statements(reader, name, arguments, first=size, **known) for size in (2, 8)] == [expected] * 2


LATER = {
    "candidates": 5,
    "deadLetters": 4,
    "embeddingRuns": 4,
    "postings": 5,
    "recommendedCandidates": 12,
    "recommendedPostings": 14,
    "recommendedPostingsForProfile": 12,
    "searchCandidates": 11,
    "similarPostings": 9,
    "searchPostings": 12,
}


@pytest.mark.parametrize("name", LATER)
def test_statements_of_a_later_page_do_not_grow_with_its_size(reader: Api, name: str) -> None:
    """The first page stores its list of matches, so a later page retrieves nothing."""
    arguments, _ = QUERIES[name]
    known: dict[str, Any] = {"posting": key("p5"), "candidate": key("c1")}
    Candidate.objects.bulk_create(Candidate(external_id=f"n{number}") for number in range(20))
    counts = []
    for size in (2, 5):
        empty_caches()
        page = f"{{ {name}({arguments.replace('$first', str(size))}) {{ pageInfo {{ endCursor }} }} }}"
        for variable, value in known.items():
            page = page.replace(f"${variable}", f'"{value}"')
        cursor = reader.data(page)[name]["pageInfo"]["endCursor"]
        counts.append(
            _statements(reader, name, f'{arguments}, after: "{cursor}"', cold=False, first=size, **known)
        )
    assert counts == [LATER[name]] * 2


def test_statements_of_matches_without_a_vector_do_not_grow_with_the_page(
    reader: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> None:
        raise TransientRpcError("embedding server is unavailable")

    monkeypatch.setattr("apps.recommendations.profiles.query_vector", unavailable)
    arguments, _ = QUERIES["searchPostings"]
    assert [_statements(reader, "searchPostings", arguments, first=size) for size in (2, 8)] == [31] * 2


def test_statements_of_matches_by_the_index_do_not_grow_with_the_page(
    reader: Api, corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.recommendations.retrieval.MAX_EXACT", 5)
    monkeypatch.setattr("apps.recommendations.retrieval.WALK_COST", 0)
    with connection.cursor() as cursor:  # not concurrently: the test is one transaction
        cursor.execute(
            f"CREATE INDEX {index_name(corpus, Kind.POSTING)} ON embeddings_postingembedding USING hnsw "
            f"((vector::halfvec({corpus.dimensions})) halfvec_cosine_ops) WHERE model_id = {corpus.pk}"
        )
    arguments, _ = QUERIES["searchPostings"]
    retrieval = '{ searchPostings(text: "x", first: 1) { retrieval { strategy } } }'
    assert reader.data(retrieval)["searchPostings"]["retrieval"]["strategy"].startswith("hnsw")
    counts = [_statements(reader, "searchPostings", arguments, first=size) for size in (2, 8)]
    assert counts == [41] * 2


@pytest.mark.parametrize(
    ("mutation", "expected"),
    [
        ("upsertPosting(input: {externalId: $text, title: $text, skills: $skills}) { posting { id } }", 12),
        (
            """upsertCandidate(input: {externalId: $text, headline: $text, skills: $skills}) {
                candidate { id } }""",
            13,
        ),
        (
            """recordInteraction(candidateId: $candidate, postingId: $posting, action: SAVED) {
                interaction { at } }""",
            13,
        ),
        ("closePosting(id: $posting) { posting { id } }", 7),
    ],
)
def test_statements_of_a_mutation_do_not_grow_with_its_input(
    reader: Api, mutation: str, expected: int
) -> None:
    types = {"text": "String!", "skills": "[String!]", "candidate": "ID!", "posting": "ID!"}
    counts = []
    for number, skills in enumerate(
        (["Python"], ["Python", "PostgreSQL", "Kubernetes", "Java", "Rust", "SQL"])
    ):
        given = {"text": f"n{number}", "skills": skills, "candidate": key("c1"), "posting": key(f"p{number}")}
        used = {name: value for name, value in given.items() if f"${name}" in mutation}
        declared = ", ".join(f"${name}: {types[name]}" for name in used)
        with CaptureQueriesContext(connection) as statements:
            reader.data(f"mutation({declared}) {{ {mutation} }}", **used)
        counts.append(len(statements))
    assert counts == [expected] * 2


def _statements(reader: Api, name: str, arguments: str, *, cold: bool = True, **known: Any) -> int:
    query = schema.graphql_schema.query_type
    assert query is not None
    used = {variable: value for variable, value in known.items() if f"${variable}" in arguments}
    declared = ", ".join(f"${variable}: {TYPES[variable]}" for variable in used)
    document = (
        f"query{f'({declared})' if declared else ''} "
        f"{{ {name}{f'({arguments})' if arguments else ''} {_selection(query.fields[name].type)} }}"
    )
    if cold:
        empty_caches()
    with CaptureQueriesContext(connection) as statements:
        reader.data(document, **used)
    return len(statements)


def _selection(type_: GraphQLOutputType, above: tuple[str, ...] = ()) -> str:
    """Every field of the type that needs no argument, and theirs; no type within itself."""
    named = get_named_type(type_)
    if isinstance(named, GraphQLInterfaceType):
        posting = schema.graphql_schema.type_map["Posting"]
        assert isinstance(posting, GraphQLObjectType)
        return f"{{ ... on Posting {_selection(posting)} }}"
    if not isinstance(named, GraphQLObjectType):
        return ""
    fields = [
        f"{name} {_selection(field.type, (*above, named.name))}"
        for name, field in named.fields.items()
        if not any(argument.default_value is None for argument in field.args.values())
        and get_named_type(field.type).name not in (*above, named.name)
    ]
    return "{ " + " ".join(fields) + " }"
