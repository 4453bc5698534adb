"""Filters over postings, for GraphQL and commands."""

import django_filters as filters
from django.db.models import BooleanField, Func, Q, QuerySet

from apps.postings.models import EmploymentType, Posting, PostingQuerySet
from apps.records.filters import CountryFilter, RecordFilterSet, in_any_case
from apps.records.models import EnglishLevel


class NamesCountry(Func):
    """Whether any of several places names a country."""

    template = """jsonb_path_exists(%(expressions)s, '$[*] ? (@.country != "")')"""
    output_field = BooleanField()


class PostingFilterSet(RecordFilterSet):
    """Keep postings that a person with these properties could take."""

    company = filters.CharFilter(
        method=in_any_case("company__name"), help_text="Name of the company, in any case"
    )
    job_family = filters.CharFilter(method=in_any_case("job_family"), help_text="Job family, in any case")
    employment_type = filters.ChoiceFilter(choices=EmploymentType.choices, help_text="Employment type")
    experience_years = filters.NumberFilter(
        method="requires_at_most", help_text="Requires at most this many years of experience, or none"
    )
    english_level = filters.TypedChoiceFilter(
        choices=EnglishLevel.choices,
        coerce=int,
        method="requires_at_most",
        help_text="Requires at most this level of English, or none",
    )
    salary_min = filters.NumberFilter(
        method="pays_at_least", min_value=0, help_text="Pays at least this much a year, in `salaryCurrency`"
    )
    published_since = filters.IsoDateTimeFilter(
        "published_at", "gte", help_text="Published at this time or later"
    )
    open_only = filters.BooleanFilter(method="is_open", help_text="Not closed, and not past its closing date")

    eligible_in = CountryFilter(
        method="is_open_to",
        help_text=(
            "Country of the seeker, by name or code: without remote postings limited to other countries"
        ),
    )

    class Meta:
        model = Posting
        fields: list[str] = []

    def requires_at_most(self, postings: QuerySet[Posting], name: str, value: float) -> QuerySet[Posting]:
        """Keep postings that require at most `value`, or nothing."""
        return postings.filter(Q(**{f"{name}__lte": value}) | Q(**{name: None}))

    def pays_at_least(self, postings: QuerySet[Posting], name: str, value: float) -> QuerySet[Posting]:
        """Keep postings that pay at least `value` a year."""
        return postings.filter(salary_per_year__gte=value, salary_currency=self.currency())

    def is_open_to(self, postings: QuerySet[Posting], name: str, value: str) -> QuerySet[Posting]:
        """Leave out remote postings whose places name countries, but not the country `value`."""
        among_them = Q(country=value) | Q(places__contains=[{"country": value}])
        return postings.filter(Q(remote=False) | among_them | (Q(country="") & ~Q(NamesCountry("places"))))

    def is_open(self, postings: PostingQuerySet, name: str, value: bool) -> QuerySet[Posting]:
        """Keep open postings, or all."""
        return postings.open() if value else postings
