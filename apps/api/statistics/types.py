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
from apps.statistics.services import CompanyShare

COUNT = graphene.Int(required=True, description="Rows that have it")
PERCENT = graphene.Float(required=True, description="Of all rows that matched, 0 to 100")


class ShareType(ObjectType):
    """How many rows have a value."""

    class Meta:
        name = "Share"

    value = graphene.String(required=True, description="The value")
    count = COUNT
    percent = PERCENT


class SkillShare(ObjectType):
    """How many rows have a skill."""

    skill = graphene.Field(SkillType, required=True, description="The skill")
    count = COUNT
    percent = PERCENT

    @staticmethod
    def resolve_skill(root: Share, _info: Any) -> SkillEntry:
        return directory()[int(root.value)]


class SalaryStatistics(ObjectType):
    """Salaries in one currency, per year."""

    currency = graphene.String(required=True, description="ISO 4217 code")
    count = graphene.Int(required=True, description="Rows with a salary in it")
    lower_quartile = graphene.Float(required=True, description="A quarter lies at this or below")
    median = graphene.Float(required=True, description="Half lies at this or below")
    upper_quartile = graphene.Float(required=True, description="Three quarters lie at this or below")


class StatisticsType(ObjectType):
    """How the rows that matched spread. Each list holds the most frequent values, the largest first."""

    class Meta:
        name = "Statistics"

    total = graphene.Int(required=True, description="Rows that matched")
    skills = graphene.List(graphene.NonNull(SkillShare), required=True, description="By skill")
    countries = graphene.List(graphene.NonNull(ShareType), required=True, description="By country")
    experience = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By years, such as 3-5"
    )
    english_levels = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By level of English, 0 to 5"
    )
    remote = graphene.List(graphene.NonNull(ShareType), required=True, description="remote and on site")
    companies = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By company; empty for candidates"
    )
    job_families = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By job family; empty for candidates"
    )
    employment_types = graphene.List(
        graphene.NonNull(ShareType), required=True, description="By employment type; empty for candidates"
    )
    salaries = graphene.List(graphene.NonNull(SalaryStatistics), required=True, description="By currency")

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
    """The state of one kind, each half of it counted when it is asked for."""

    kind: str
    first: int
    least_group: int

    @cached_property
    def coverage(self) -> Coverage | None:
        return services.embedded_rows(self.kind)

    @property
    def statistics(self) -> Statistics:
        return services.search_statistics(self.kind, first=self.first).without_small_groups(self.least_group)


class DashboardType(ObjectType):
    """The state of one kind at a glance."""

    class Meta:
        name = "Dashboard"

    rows = graphene.Int(description="All rows, closed postings too; null before a model answers")
    embedded = graphene.Int(description="Rows with a current vector; null before a model answers")
    embedded_percent = graphene.Float(description="Their share, 0 to 100; null before a model answers")
    statistics = graphene.Field(StatisticsType, required=True, description="Open postings, or all candidates")

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
    """A company and its open postings."""

    class Meta:
        name = "CompanyShare"

    id = graphene.ID(required=True, description="Global id of the company")
    name = graphene.String(required=True, description="Name of the company")
    count = graphene.Int(required=True, description="Its open postings")
    percent = graphene.Float(required=True, description="Of all open postings, 0 to 100")

    @staticmethod
    def resolve_id(root: CompanyShare, _info: Any) -> str:
        return str(to_global_id("Company", root.company_id))


class CategoryShareType(ObjectType):
    """Skills of one category."""

    class Meta:
        name = "CategoryShare"

    name = graphene.String(required=True, description="Name of the category")
    skills = graphene.List(graphene.NonNull(SkillType), required=True, description="Those given, by name")
    percent = graphene.Float(required=True, description="Of all skills given that are known, 0 to 100")


class CategoryDistributionType(ObjectType):
    """How skills spread over categories."""

    class Meta:
        name = "CategoryDistribution"

    categories = graphene.List(
        graphene.NonNull(CategoryShareType), required=True, description="The largest first"
    )
    unknown = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="Names that no skill has"
    )


class SkillMatchType(ObjectType):
    """The skills of a candidate beside those that a posting asks for."""

    class Meta:
        name = "SkillMatch"

    coverage = graphene.Float(description="Share of the posting's skills that are there; null where unknown")
    overlap = graphene.Float(description="Skills in common, of all of either; null where unknown")
    matched_skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Asked for and there"
    )
    missing_skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="Asked for and lacking"
    )
    extra_skills = graphene.List(
        graphene.NonNull(SkillType), required=True, description="There, and nobody asked for them"
    )
