"""GraphQL types of counts and distributions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import graphene
from graphene.types.objecttype import ObjectType
from graphql_relay import to_global_id

from apps.api.skills.types import SkillType
from apps.embeddings.registry import Coverage
from apps.skills.directory import SkillEntry, directory
from apps.statistics import services
from apps.statistics.facets import Share, Statistics
from apps.statistics.privacy import rounded_count
from apps.statistics.services import CompanyShare

COUNT = graphene.Int(required=True, description="Number of rows that have it")
PERCENT = graphene.Float(required=True, description="Percentage of all rows that match, 0 to 100")


class ShareType(ObjectType):
    """The number of rows that have a value."""

    class Meta:
        name = "Share"

    value = graphene.String(required=True, description="The value")
    count = COUNT
    percent = PERCENT


class SkillShare(ObjectType):
    """The number of rows that have a skill."""

    skill = graphene.Field(SkillType, required=True, description="The skill")
    count = COUNT
    percent = PERCENT

    @staticmethod
    def resolve_skill(root: Share, _info: Any) -> SkillEntry:
        return directory()[int(root.value)]


class SalaryStatistics(ObjectType):
    """Salaries in one currency, per year."""

    currency = graphene.String(required=True, description="ISO 4217 code")
    count = graphene.Int(required=True, description="Number of rows with a salary in this currency")
    lower_quartile = graphene.Float(required=True, description="A quarter of the salaries are at most this")
    median = graphene.Float(required=True, description="Half of the salaries are at most this")
    upper_quartile = graphene.Float(
        required=True, description="Three quarters of the salaries are at most this"
    )


class StatisticsType(ObjectType):
    """Distributions over the rows that match, each a list with the most frequent values first."""

    class Meta:
        name = "Statistics"

    total = graphene.Int(required=True, description="Number of rows that match")
    skills = graphene.List(graphene.NonNull(SkillShare), required=True, description="By skill")
    countries = graphene.List(graphene.NonNull(ShareType), required=True, description="By country")
    experience = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By years of experience, such as 3-5"
    )
    english_levels = graphene.List(
        graphene.NonNull(ShareType),
        required=True,
        description="By level of English, from 0 (none) to 5 (fluent)",
    )
    remote = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By place of work: remote or on site"
    )
    companies = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By company; empty for candidates"
    )
    job_families = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By job family; empty for candidates"
    )
    employment_types = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By employment type; empty for candidates"
    )
    salaries = graphene.List(
        graphene.NonNull(SalaryStatistics), required=True, description="Quartiles by currency"
    )

    @staticmethod
    def resolve_skills(root: Statistics, _info: Any) -> list[Share]:
        known = directory()
        return [share for share in root.facets["skill"] if int(share.value) in known]

    @staticmethod
    def resolve_countries(root: Statistics, _info: Any) -> list[Share]:
        return root.facets["country"]

    @staticmethod
    def resolve_experience(root: Statistics, _info: Any) -> list[Share]:
        return root.facets["experience"]

    @staticmethod
    def resolve_english_levels(root: Statistics, _info: Any) -> list[Share]:
        return root.facets["english_level"]

    @staticmethod
    def resolve_remote(root: Statistics, _info: Any) -> list[Share]:
        return root.facets["remote"]

    @staticmethod
    def resolve_companies(root: Statistics, _info: Any) -> list[Share]:
        return root.facets.get("company", [])

    @staticmethod
    def resolve_job_families(root: Statistics, _info: Any) -> list[Share]:
        return root.facets.get("job_family", [])

    @staticmethod
    def resolve_employment_types(root: Statistics, _info: Any) -> list[Share]:
        return root.facets.get("employment_type", [])


@dataclass(frozen=True)
class Dashboard:
    """Overview of one kind of rows, each half of which is computed when a client selects it.

    Unless `is_exact`, the figures are those of candidates that everybody may see.
    """

    kind: str
    first: int
    is_exact: bool

    @cached_property
    def coverage(self) -> Coverage | None:
        """How many rows have a current vector; None before a model is active."""
        exact = services.embedded_rows(self.kind)
        if exact is None or self.is_exact:
            return exact
        rows = self.statistics.total
        current = rows if exact.current == exact.rows else min(rows, rounded_count(exact.current))
        return Coverage(self.kind, rows=rows, current=current, dead=0)

    @cached_property
    def statistics(self) -> Statistics:
        """Distributions over open postings, or over all candidates."""
        if self.is_exact:
            return services.search_statistics(self.kind, first=self.first)
        return services.published_candidate_statistics(first=self.first)


class DashboardType(ObjectType):
    """Overview of one kind of rows."""

    class Meta:
        name = "Dashboard"

    rows = graphene.Int(description="Number of rows, closed postings too; null before a model is active")
    embedded = graphene.Int(description="Number of rows with a current vector; null before a model is active")
    embedded_percent = graphene.Float(
        description="Percentage of rows with a current vector, 0 to 100; null before a model is active"
    )
    statistics = graphene.Field(
        StatisticsType, required=True, description="Distributions over open postings, or over all candidates"
    )

    @staticmethod
    def resolve_rows(root: Dashboard, _info: Any) -> int | None:
        return root.coverage.rows if root.coverage else None

    @staticmethod
    def resolve_embedded(root: Dashboard, _info: Any) -> int | None:
        return root.coverage.current if root.coverage else None

    @staticmethod
    def resolve_embedded_percent(root: Dashboard, _info: Any) -> float | None:
        return round(root.coverage.percent, 2) if root.coverage else None


class CompanyShareType(ObjectType):
    """A company with the number of its open postings."""

    class Meta:
        name = "CompanyShare"

    id = graphene.ID(required=True, description="Global id of the company")
    name = graphene.String(required=True, description="Name of the company")
    count = graphene.Int(required=True, description="Number of its open postings")
    percent = graphene.Float(required=True, description="Percentage of all open postings, 0 to 100")

    @staticmethod
    def resolve_id(root: CompanyShare, _info: Any) -> str:
        return str(to_global_id("Company", root.company_id))


class CategoryShareType(ObjectType):
    """The given skills of one category."""

    class Meta:
        name = "CategoryShare"

    name = graphene.String(required=True, description="Name of the category")
    skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="The given skills, by name"
    )
    percent = graphene.Float(
        required=True, description="Percentage of all given skills that are known, 0 to 100"
    )


class CategoryDistributionType(ObjectType):
    """How skills are distributed over categories."""

    class Meta:
        name = "CategoryDistribution"

    categories = graphene.List(
        graphene.NonNull(CategoryShareType), required=True, description="Categories, largest first"
    )
    unknown = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="Given names that no skill has"
    )


class SkillMatchType(ObjectType):
    """A comparison of the skills of a posting with those of a candidate."""

    class Meta:
        name = "SkillMatch"

    coverage = graphene.Float(
        description="Share of the posting's skills that the candidate has; null if unknown"
    )
    overlap = graphene.Float(description="Skills in common divided by all skills of the two; null if unknown")
    matched_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that are asked for and that the candidate has",
    )
    missing_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that are asked for and that the candidate lacks",
    )
    extra_skills = graphene.List(
        graphene.NonNull(SkillType),
        required=True,
        description="Skills that the candidate has and that are not asked for",
    )
