"""The conditions of the filters match the indexes."""

from typing import Any

import pytest
from django.db import connection

from apps.embeddings.models import Kind
from apps.recommendations.services import matching_rows


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "values", "indexes"),
    [
        (
            Kind.POSTING,
            {"location": "Oslo"},
            ["posting_by_place"],
        ),
        (
            Kind.CANDIDATE,
            {"location": "Oslo"},
            ["candidate_by_place"],
        ),
        (Kind.POSTING, {"job_family": "Nursing"}, ["posting_by_job_family"]),
        (Kind.POSTING, {"company": "Fjord AS"}, ["company_by_name_any_case"]),
        # Which of the two is cheaper depends on what PostgreSQL knows of the table.
        (Kind.POSTING, {"salary_min": 50_000}, ["posting_by_salary", "posting_best_paid_first"]),
    ],
)
def test_filter_uses_its_indexes(kind: Kind, values: dict[str, Any], indexes: list[str]) -> None:
    with connection.cursor() as cursor:
        # On small tables a scan of the table or of a whole index is cheapest; a bitmap needs the condition.
        for scan in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{scan} = off")
    plan = matching_rows(kind, values).explain()
    assert any(f" {name} " in plan for name in indexes), plan
