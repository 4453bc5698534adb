"""Limits on the shape of a query."""

from typing import Any

import pytest
from graphql import GraphQLError, ValidationRule, get_introspection_query, parse, validate
from graphql.execution.values import get_variable_values

from apps.api.document import operation_of, schema
from apps.api.errors import LimitError
from apps.api.validation.aliases import AliasesRule
from apps.api.validation.cost import cost_rule
from apps.api.validation.depth import DepthRule
from apps.api.validation.tokens import check_tokens

DEEP = "{ a " * 12 + "{ b }" + " }" * 12


def errors_of(query: str, *rules: type[ValidationRule]) -> list[GraphQLError]:
    return validate(schema(), parse(query), rules)


def facts(error: GraphQLError) -> tuple[str, str, int]:
    """(code, limit, bound) of an error."""
    assert isinstance(error, LimitError) and error.extensions is not None
    return error.extensions["code"], error.extensions["limit"], error.extensions["bound"]


def token_error(query: str) -> tuple[str, str, int]:
    """(code, limit, bound) of the error that the query raises before it is parsed."""
    with pytest.raises(LimitError) as error:
        check_tokens(query)
    return facts(error.value)


def cost_errors(query: str, **variables: Any) -> list[GraphQLError]:
    operation = operation_of(query, None, before_parsing=lambda: None)
    coerced = get_variable_values(schema(), operation.node.variable_definitions, variables)
    assert isinstance(coerced, dict)
    return validate(schema(), operation.document, [cost_rule(operation.node, coerced)])


def cost_of(query: str, settings: Any, **variables: Any) -> int:
    """The smallest bound that the query keeps."""
    low, high = 0, 1_000_000
    while low < high:
        settings.GRAPHQL_MAX_COST = middle = (low + high) // 2
        if cost_errors(query, **variables):
            low = middle + 1
        else:
            high = middle
    return low


def test_the_introspection_query_of_tools_is_within_all_limits() -> None:
    query = get_introspection_query()
    check_tokens(query)
    assert errors_of(query, DepthRule, AliasesRule) == []


@pytest.mark.parametrize("opening", ["{a", "[", "{a(b:", "{a(b:{c:"])
def test_check_tokens_refuses_deep_nesting_before_the_parser_recurses(opening: str) -> None:
    assert token_error(opening * 300) == ("QUERY_TOO_DEEP", "GRAPHQL_MAX_DEPTH", 12)


def test_check_tokens_refuses_one_token_too_many() -> None:
    assert token_error("{" + "a " * 1_000 + "}") == ("QUERY_TOO_LARGE", "GRAPHQL_MAX_TOKENS", 1_000)
    check_tokens("{" + "a " * 998 + "}")


def test_depth_counts_through_fragments() -> None:
    spread = "{ a { ...F } } fragment F on Query " + DEEP
    assert list(map(facts, errors_of(spread, DepthRule))) == [("QUERY_TOO_DEEP", "GRAPHQL_MAX_DEPTH", 12)]
    assert errors_of("{ a " * 11 + "{ b }" + " }" * 11, DepthRule) == []


def test_fragments_that_spread_each_other_are_measured_once() -> None:
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    pairs = zip(names, names[1:] + "A", strict=True)
    query = "{ ...A }" + "".join(f"fragment {a} on Query {{ x ...{b} ...{b} }}" for a, b in pairs)
    assert facts(errors_of(query, DepthRule, AliasesRule)[0])[0] == "QUERY_TOO_MANY_ALIASES"


def test_a_fragment_that_spreads_itself_is_left_to_the_rules_of_graphql() -> None:
    assert errors_of("{ ...A } fragment A on Query { ...A }", DepthRule, AliasesRule) == []


@pytest.mark.parametrize(
    "query",
    [
        "{" + " ".join(f"a{number}: postings {{ totalCount }}" for number in range(52)) + "}",
        "{" + "__typename " * 52 + "}",
        "{" + "...A " * 51 + "} fragment A on Query { __typename }",
        "{" + "... { __typename } " * 51 + "}",
    ],
)
def test_aliases_are_refused_however_a_field_is_repeated(query: str) -> None:
    [error] = errors_of(query, AliasesRule)
    assert facts(error) == ("QUERY_TOO_MANY_ALIASES", "GRAPHQL_MAX_ALIASES", 50)


def test_cost_is_about_the_number_of_values_in_the_response(settings: Any) -> None:
    rows = "totalCount edges { node { title skills { name } } }"
    page = f"query($first: Int) {{ postings(first: $first) {{ {rows} }} }}"
    # postings 101 + page × (totalCount 1 + edges (1 + node (1 + title 1 + skills (1 + 5 names))))
    assert cost_of(page, settings, first=10) == 101 + 10 * (1 + 1 + 1 + 1 + 1 + 5)
    assert cost_of(page, settings) == 101 + 20 * 10
    assert cost_of(
        "{ a: postings { ...F } b: postings(first: 100) { ...F } }"
        "fragment F on PostingConnection { totalCount }",
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
def test_cost_of_a_page_is_its_size_however_the_size_is_given(
    query: str, variables: dict[str, Any], settings: Any
) -> None:
    assert cost_of(query, settings, **variables) == 101 + 100


def test_cost_of_a_search_is_more_than_its_page(settings: Any) -> None:
    search = '{ searchPostings(text: "x", first: 1) { totalCount } }'
    assert cost_of(search, settings) == 500 + 2
    assert cost_of("{ __typename __schema { queryType { name } } }", settings) == 1 + 5_000
    assert cost_of("{ skillCategories { skills { name } } }", settings) == 1 + 15 * (1 + 40)


def test_cost_of_a_query_for_everything_is_refused() -> None:
    explanation = "explanation { matchedSkills { aliases } parts { name } }"
    rows = f"edges {{ node {{ skills {{ aliases }} description }} {explanation} }}"
    query = (
        "{" + " ".join(f'a{n}: searchPostings(text: "x", first: 100) {{ {rows} }}' for n in range(10)) + "}"
    )
    [error] = cost_errors(query)
    assert facts(error) == ("QUERY_TOO_COSTLY", "GRAPHQL_MAX_COST", 20_000)


def test_cost_counts_only_the_operation_that_is_executed() -> None:
    cheap = "query Cheap { __typename }"
    costly = (
        "query Costly {"
        + " ".join(f'a{n}: searchPostings(text: "x") {{ totalCount }}' for n in range(45))
        + "}"
    )
    operation = operation_of(cheap + costly, "Cheap", before_parsing=lambda: None)
    assert validate(schema(), operation.document, [cost_rule(operation.node, {})]) == []
