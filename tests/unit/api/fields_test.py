"""What root fields declare of themselves."""

import pytest

from apps.api.document import operation_of, schema
from apps.api.fields import RootField, facts_of
from apps.api.schema import Query
from apps.caching import tags

PER_READER = {
    "candidate",
    "candidates",
    "deadLetters",
    "embeddingRuns",
    "node",
    "recommendedCandidates",
    "recommendedPostings",
    "searchCandidates",
}


def test_every_root_field_declares_its_cost_and_what_it_reads() -> None:
    undeclared = [name for name, field in Query._meta.fields.items() if not isinstance(field, RootField)]
    assert not undeclared, f"declare with RootField: {undeclared}"


def test_root_fields_read_known_namespaces_or_differ_between_readers() -> None:
    query_type = schema().query_type
    assert query_type is not None
    reads = {name: facts_of(field).reads for name, field in query_type.fields.items()}
    assert {name for name, namespaces in reads.items() if namespaces is None} == PER_READER
    tags.changed({namespace for namespaces in reads.values() for namespace in namespaces or ()})  # all known


@pytest.mark.parametrize(
    ("query", "namespaces"),
    [
        ("{ __typename }", ()),
        ("{ skillCategories { name } topCompanies { name } }", ("postings", "skills")),
        ("{ ...A } fragment A on Query { ... { skillCategories { name } } }", ("skills",)),
        ("{ skillCategories { name } candidates { totalCount } }", None),
        ("{ ...A } fragment A on Query { deadLetters { totalCount } }", None),
        ("{ __schema { queryType { name } } }", None),
        ("mutation { closePosting(id: 1) { posting { id } } }", None),
        ("mutation { __typename }", None),
    ],
)
def test_namespaces_of_an_operation_are_those_of_all_its_root_fields(
    query: str, namespaces: tuple[str, ...] | None
) -> None:
    assert operation_of(query, None, before_parsing=lambda: None).namespaces == namespaces


def test_only_the_profile_query_is_personal() -> None:
    query_type = schema().query_type
    assert query_type is not None
    personal = [name for name, field in query_type.fields.items() if facts_of(field).is_personal]
    assert personal == ["recommendedPostingsForProfile"]
