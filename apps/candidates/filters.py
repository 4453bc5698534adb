"""Filters over candidates, for GraphQL and commands."""

import django_filters as filters
from django.db.models import Q, QuerySet

from apps.candidates.models import Candidate
from apps.records.filters import RecordFilterSet
from apps.records.models import EnglishLevel


class CandidateFilterSet(RecordFilterSet):
    """Keep candidates with at least the given experience, English and skills."""

    experience_years = filters.NumberFilter(
        "experience_years", "gte", help_text="At least this many years of experience"
    )
    english_level = filters.TypedChoiceFilter(
        field_name="english_level",
        lookup_expr="gte",
        choices=EnglishLevel.choices,
        coerce=int,
        help_text="At least this level of English",
    )
    salary_max = filters.NumberFilter(
        method="expects_at_most",
        min_value=0,
        help_text="Expects at most this much a year in `salaryCurrency`, or states no salary",
    )

    class Meta:
        model = Candidate
        fields: list[str] = []

    def expects_at_most(
        self, candidates: QuerySet[Candidate], name: str, value: float
    ) -> QuerySet[Candidate]:
        """Keep candidates who expect at most `value` a year, or state no salary."""
        return candidates.filter(
            Q(salary_per_year__lte=value, salary_currency=self.currency()) | Q(salary_per_year=None)
        )
