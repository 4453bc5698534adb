"""Limits on the shape of a query."""

from typing import Any

import pytest
from graphql import get_introspection_query, parse
from graphql.execution.values import get_variable_values

from apps.api.documents import operation_of, schema
from apps.api.errors import LimitError
from apps.api.limits import check_cost, check_shape, check_tokens

DEEP = "{ a " * 12 + "{ b }" + " }" * 12


def refused(check: Any, *arguments: Any) -> tuple[str, str, int]:
    """(code, limit, bound) of the refusal."""
    with pytest.raises(LimitError) as error:
        check(*arguments)
    extensions = error.value.extensions
    assert extensions is not None
    return extensions["code"], extensions["limit"], extensions["bound"]


def cost_of(query: str, settings: Any, **variables: Any) -> int:
    """The smallest bound that the query keeps."""
    operation = operation_of(query, None)
    coerced = get_variable_values(schema(), operation.node.variable_definitions, variables)
    assert isinstance(coerced, dict)
    low, high = 0, 1_000_000
    while low < high:
        settings.GRAPHQL_MAX_COST = middle = (low + high) // 2
        try:
            check_cost(schema(), operation.document, operation.node, coerced)
        except LimitError:
            low = middle + 1
        else:
            high = middle
    return low


def test_introspection_as_tools_ask_it_is_within_all_limits() -> None:
    query = get_introspection_query()
    check_tokens(query)
    check_shape(parse(query))


@pytest.mark.parametrize("opening", ["{a", "[", "{a(b:", "{a(b:{c:"])
def test_nesting_is_refused_before_the_parser_recurses(opening: str) -> None:
    assert refused(check_tokens, opening * 300) == ("QUERY_TOO_DEEP", "GRAPHQL_MAX_DEPTH", 12)


def test_tokens() -> None:
    assert refused(check_tokens, "{" + "a " * 1_000 + "}") == ("QUERY_TOO_LARGE", "GRAPHQL_MAX_TOKENS", 1_000)
    check_tokens("{" + "a " * 998 + "}")


def test_depth_counts_through_fragments() -> None:
    spread = "{ a { ...F } } fragment F on Query " + DEEP
    assert refused(check_shape, parse(spread)) == ("QUERY_TOO_DEEP", "GRAPHQL_MAX_DEPTH", 12)
    check_shape(parse("{ a " * 11 + "{ b }" + " }" * 11))


def test_fragments_that_spread_themselves_and_each_other_are_measured_once() -> None:
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = zip(names, names[1:] + "A", strict=True)
    query = "{ ...A }" + "".join(f"fragment {a} on Query {{ x ...{b} ...{b} }}" for a, b in pairs)
    assert refused(check_shape, parse(query))[0] == "QUERY_TOO_MANY_ALIASES"
    check_shape(parse("{ ...A } fragment A on Query { ...A }"))  # left to validation


@pytest.mark.parametrize(
    "query",
    [
        "{" + " ".join(f"a{number}: postings {{ totalCount }}" for number in range(52)) + "}",
        "{" + "__typename " * 52 + "}",
        "{" + "...A " * 51 + "} fragment A on Query { __typename }",
        "{" + "... { __typename } " * 51 + "}",
    ],
)
def test_asking_again_and_again(query: str) -> None:
    assert refused(check_shape, parse(query)) == ("QUERY_TOO_MANY_ALIASES", "GRAPHQL_MAX_ALIASES", 50)


def test_cost_is_about_the_values_of_the_answer(settings: Any) -> None:
    page = "query($first: Int) { postings(first: $first) { totalCount edges { node { title skills { name } } } } }"
    # postings 101 + page × (totalCount 1 + edges (1 + node (1 + title 1 + skills (1 + 5 names))))
    assert cost_of(page, settings, first=10) == 101 + 10 * (1 + 1 + 1 + 1 + 1 + 5)
    assert cost_of(page, settings) == 101 + 20 * 10
    assert cost_of(
        "{ a: postings { ...F } b: postings(first: 100) { ...F } } fragment F on PostingConnection { totalCount }",
        settings,
    ) == (101 + 20) + (101 + 100)


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query($first: Int = 100) { postings(first: $first) { totalCount } }", {}),
        ("query($first: Int) { postings(first: $first) { totalCount } }", {"first": 100.0}),
        ("{ postings(first: 2147483647) { totalCount } }", {}),
    ],
)
def test_a_page_costs_its_size_however_it_is_given(
    query: str, variables: dict[str, Any], settings: Any
) -> None:
    assert cost_of(query, settings, **variables) == 101 + 100


def test_a_search_costs_more_than_its_page(settings: Any) -> None:
    search = '{ searchPostings(text: "x", first: 1) { totalCount } }'
    assert cost_of(search, settings) == 500 + 2
    assert cost_of("{ __typename __schema { queryType { name } } }", settings) == 1 + 5_000
    assert cost_of("{ skillCategories { skills { name } } }", settings) == 1 + 15 * (1 + 40)


def test_a_query_of_everything_is_too_costly() -> None:
    rows = "edges { node { skills { aliases } description } explanation { matchedSkills { aliases } parts { name } } }"
    query = (
        "{" + " ".join(f'a{n}: searchPostings(text: "x", first: 100) {{ {rows} }}' for n in range(10)) + "}"
    )
    operation = operation_of(query, None)
    found = refused(check_cost, schema(), operation.document, operation.node, {})
    assert found == ("QUERY_TOO_COSTLY", "GRAPHQL_MAX_COST", 20_000)
