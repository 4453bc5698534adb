"""Edits in the admin and their effects on skills, vectors and caches."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from apps.candidates.models import Candidate
from apps.embeddings.models import CandidateEmbedding, EmbeddingModel, EmbeddingRun, PostingEmbedding
from apps.embeddings.registry import coverage
from apps.postings.models import Company, Posting
from apps.skills.models import Skill, SkillAlias
from tests.integration.admin.conftest import fill, member_of

LIST = reverse("admin:postings_posting_changelist")


def page_of(row: Posting | Candidate) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def form_of(client: Client, row: Posting | Candidate) -> dict[str, Any]:
    """The values that a browser submits for the unchanged page of the row."""
    context = client.get(page_of(row)).context
    forms = [context["adminform"].form]
    for each in context["inline_admin_formsets"]:
        forms += [each.formset.management_form, *each.formset.forms]
    values = {}
    for form in forms:
        for bound in form:
            value = bound.value()
            if bound.field.widget.__class__.__name__.endswith("SplitDateTimeWidget"):
                date, _, time = str(value or "").partition(" ")
                values |= {f"{bound.html_name}_0": date, f"{bound.html_name}_1": time[:8]}
            elif value is not None and value is not False:
                values[bound.html_name] = value
    return values


def skills_of(row: Posting | Candidate) -> dict[str, str]:
    return {use.skill.name: use.origin for use in row.skill_uses.select_related("skill")}


@pytest.fixture
def posting(administrator: Client) -> Posting:
    """A posting with a current vector. Its skill Docker was found in the text."""
    fill(3)
    posting = Posting.objects.get(external_id="p0")
    assert skills_of(posting) == {"Python": "stated", "Skill 0": "stated", "Docker": "found"}
    assert PostingEmbedding.objects.get(posting=posting).content_hash == posting.content_hash
    return posting


def test_edited_posting_gets_the_skills_of_its_new_text_and_is_embedded_again(
    administrator: Client, posting: Posting, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    model = EmbeddingModel.objects.active()
    assert model is not None
    before, form = coverage(model, "posting"), form_of(administrator, posting)
    with django_capture_on_commit_callbacks(execute=True):
        answer = administrator.post(page_of(posting), form | {"description": "We run Kubernetes."})
    assert answer.status_code == 302, answer.context["errors"]
    posting.refresh_from_db()
    assert skills_of(posting) == {"Python": "stated", "Skill 0": "stated", "Kubernetes": "found"}
    assert posting.skills_text == "Kubernetes, Python, Skill 0"
    after = coverage(model, "posting")
    assert (after.current, after.pending) == (before.current - 1, before.pending + 1)
    assert sent == [("workers.tasks.start_runs", None, {"kinds": ["posting"], "reason": "posting edited"})]


def test_skill_added_by_hand_is_stated(administrator: Client, posting: Posting) -> None:
    form = form_of(administrator, posting)
    [prefix] = [name.rsplit("-", 1)[0] for name, value in form.items() if value == _skill("Docker").pk]
    answer = administrator.post(page_of(posting), form | {f"{prefix}-skill": _skill("PostgreSQL").pk})
    assert answer.status_code == 302, answer.context["errors"]
    assert skills_of(posting) == {
        "Python": "stated",
        "Skill 0": "stated",
        "PostgreSQL": "stated",
        "Docker": "found",
    }


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"salary_currency": "euro"}, "salary_currency", "at most 3 characters"),
        ({"salary_currency": "eur"}, "salary_currency", "three capital letters such as EUR"),
        ({"language": "English"}, "language", "must be a code such as en or pt-BR"),
        ({"experience_years": "90"}, "experience_years", "must be at most 80, not 90"),
        ({"salary_min": "2", "salary_max": "1"}, "salary_max", "salary_max 1 is less than salary_min 2"),
        ({"title": ""}, "title", "This field is required"),
    ],
)
def test_admin_form_rejects_what_an_import_rejects(
    administrator: Client, posting: Posting, sent: list[Any], values: dict[str, str], field: str, message: str
) -> None:
    answer = administrator.post(page_of(posting), form_of(administrator, posting) | values)
    assert answer.status_code == 200
    assert message in answer.context["adminform"].form.errors[field][0]
    posting_now = Posting.objects.get(pk=posting.pk)
    assert (posting_now.title, posting_now.updated_at) == (posting.title, posting.updated_at)
    assert sent == []


def test_recruiter_edits_a_candidate(
    administrator: Client, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    fill(1)
    recruiter, candidate = member_of("Recruiters"), Candidate.objects.get()
    form = form_of(recruiter, candidate) | {"resume": "Years of Kubernetes."}
    with django_capture_on_commit_callbacks(execute=True):
        assert recruiter.post(page_of(candidate), form).status_code == 302
    assert skills_of(candidate) == {"Python": "stated", "Kubernetes": "found"}
    assert sent[-1][2] == {"kinds": ["candidate"], "reason": "candidate edited"}


def test_actions_close_and_open_postings(administrator: Client) -> None:
    fill(3)
    chosen = list(Posting.objects.filter(external_id__in=["p0", "p1"]).values_list("pk", flat=True))
    Posting.objects.filter(external_id="p1").update(status="closed")
    for action, expected in (("close_selected", ["p0", "p1"]), ("open_selected", [])):
        administrator.post(LIST, {"action": action, "_selected_action": chosen})
        closed = Posting.objects.filter(status="closed").order_by("external_id")
        assert [each.external_id for each in closed] == expected
    logged = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    assert [message for _, message in logged] == ["Set to closed", "Set to open", "Set to open"]


def test_deleting_a_posting_deletes_its_vector(
    administrator: Client, posting: Posting, django_capture_on_commit_callbacks: Any
) -> None:
    url = reverse("admin:postings_posting_delete", args=[posting.pk])
    assert administrator.get(url).status_code == 200
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        assert administrator.post(url, {"post": "yes"}).status_code == 302
    assert len(callbacks) == 1  # the invalidation
    assert not PostingEmbedding.objects.filter(posting_id=posting.pk).exists()
    assert CandidateEmbedding.objects.count() == 0


def test_company_with_postings_cannot_be_deleted(administrator: Client, posting: Posting) -> None:
    used, unused = posting.company, Company.objects.create(name="Nobody")
    assert used is not None
    for company, status in ((used, 403), (unused, 302)):
        url = reverse("admin:postings_company_delete", args=[company.pk])
        assert administrator.post(url, {"post": "yes"}).status_code == status
    assert set(Company.objects.filter(pk__in=[used.pk, unused.pk])) == {used}


def test_renaming_a_skill_makes_its_rows_pending(administrator: Client, posting: Posting) -> None:
    skill = _skill("Python")
    url = reverse("admin:skills_skill_change", args=[skill.pk])
    aliases = list(SkillAlias.objects.filter(skill=skill))
    form = {"name": "Python 3", "category": skill.category_id, "in_text": "on"} | {
        "aliases-TOTAL_FORMS": len(aliases),
        "aliases-INITIAL_FORMS": len(aliases),
    }
    for position, alias in enumerate(aliases):
        form |= {
            f"aliases-{position}-id": alias.pk,
            f"aliases-{position}-name": alias.name,
            f"aliases-{position}-skill": skill.pk,
        }
    assert administrator.post(url, form).status_code == 302
    posting.refresh_from_db()
    assert posting.skills_text == "Docker, Python 3, Skill 0"
    assert PostingEmbedding.objects.get(posting=posting).content_hash != posting.content_hash


def test_embed_now_starts_due_runs(
    administrator: Client, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    fill(1)
    url, runs = reverse("admin:embeddings_embeddingrun_embed_now"), EmbeddingRun.objects.unfinished()
    assert administrator.get(url).status_code == 200  # asks what to embed
    assert runs.count() == 0
    with django_capture_on_commit_callbacks(execute=True):
        answer = administrator.post(url, {"_form_submitted": "on", "kind": "candidate"})
    assert answer.headers["HX-Redirect"] == reverse("admin:embeddings_embeddingrun_changelist")
    assert {(run.kind, run.reason) for run in runs} == {("candidate", "requested by chief")}
    assert sent == [("workers.tasks.plan_run", [run.pk], None) for run in runs.order_by("pk")]


def test_embed_now_is_forbidden_for_recruiters(db: None, clean_cache: None) -> None:
    url = reverse("admin:embeddings_embeddingrun_embed_now")
    assert member_of("Operators").get(url).status_code == 200
    assert member_of("Recruiters").post(url, {"kind": ""}).status_code == 403


def _skill(name: str) -> Skill:
    return Skill.objects.get(name=name)
