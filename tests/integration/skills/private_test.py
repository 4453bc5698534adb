"""Skills that only candidates name: private, spelled as postings spell them, deleted with their last use."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.candidates.models import Candidate
from apps.postings.inputs import PostingInput
from apps.postings.models import Company, Posting
from apps.postings.services import upsert_postings
from apps.skills.models import Skill
from apps.skills.services import add_unlisted, spell_publicly
from tests.integration.api.conftest import Api, user_with
from workers.tasks import prune

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]

FLUTE, LOUD_FLUTE = "Zorblaxian flute", "zorblaxian FLUTE"
DISTRIBUTION = """query($skills: [String!]!) {
    categoryDistribution(skills: $skills) { unknown categories { name } } }"""


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker runs."""
    monkeypatch.setattr("celery.current_app.send_task", lambda *_, **__: None)


@pytest.fixture
def recruiter() -> Api:
    """A user who may see and change candidates."""
    return Api(user_with("view_candidate", "change_candidate", "change_posting"))


def store_candidate(recruiter: Api, *skills: str) -> None:
    """Store the only candidate with these skills, over GraphQL."""
    recruiter.data(
        "mutation($input: CandidateInput!) { upsertCandidate(input: $input) { created } }",
        input={"externalId": "c1", "headline": "Somebody", "skills": list(skills)},
    )


def posting(*skills: str) -> PostingInput:
    """A posting that states these skills."""
    return PostingInput(external_id="p1", title="Player", skills=list(skills))


def is_known(api: Api, name: str = LOUD_FLUTE) -> bool:
    """Whether the dictionary knows the name, as this client sees it."""
    return not api.data(DISTRIBUTION, skills=[name])["categoryDistribution"]["unknown"]


def test_skill_of_a_candidate_is_unknown_to_the_public(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    anonymous = Api()
    with django_capture_on_commit_callbacks(execute=True):
        store_candidate(recruiter, FLUTE)
        upsert_postings([posting("Python")])
    assert (is_known(anonymous), is_known(recruiter)) == (False, True)
    match = """query($id: ID!, $skills: [String!]) { skillMatch(postingId: $id, skills: $skills) {
        extraSkills { name } } }"""
    key = str(Posting.objects.get().pk)
    for api, extra in ((anonymous, []), (recruiter, [{"name": FLUTE}])):
        found = api.data(match, id=key, skills=[LOUD_FLUTE])["skillMatch"]
        assert found["extraSkills"] == extra
    search = """query($skills: [String!]) { searchPostings(text: "player", skills: $skills) {
        edges { explanation { extraSkills { name } } } } }"""
    edges = anonymous.data(search, skills=[LOUD_FLUTE, "Java"])["searchPostings"]["edges"]
    assert [each["explanation"]["extraSkills"] for each in edges] == [[{"name": "Java"}]]


def test_skill_of_a_candidate_is_deleted_with_its_last_use(recruiter: Api) -> None:
    store_candidate(recruiter, FLUTE)
    prune()
    assert Skill.objects.filter(name=FLUTE).exists()
    Candidate.objects.all().delete()
    assert not is_known(Api())
    prune()
    assert not Skill.objects.filter(name=FLUTE).exists()
    assert Skill.objects.filter(name="Python").exists()


def test_skill_is_public_while_a_posting_has_it(
    recruiter: Api, django_capture_on_commit_callbacks: Any
) -> None:
    anonymous = Api()
    with django_capture_on_commit_callbacks(execute=True):
        store_candidate(recruiter, FLUTE)
        spell_publicly([LOUD_FLUTE])
        upsert_postings([posting(LOUD_FLUTE)])
    assert is_known(anonymous)
    assert Skill.objects.get(name=LOUD_FLUTE).candidates_only is False
    with django_capture_on_commit_callbacks(execute=True):
        Posting.objects.all().delete()
        prune()
    assert not is_known(anonymous)
    assert is_known(recruiter)


def test_skill_that_a_posting_names_first_is_public() -> None:
    upsert_postings([posting(FLUTE)])
    assert is_known(Api())


def test_candidate_fixes_no_spelling_of_public_rows(recruiter: Api) -> None:
    theirs, public = "wElDiNg RoBoT <b>x</b>", "welding robot <b>x</b>"
    store_candidate(recruiter, theirs)
    spell_publicly([public])
    upsert_postings([posting(public)])
    assert Posting.objects.get().skills_text == Candidate.objects.get().skills_text == public
    spell_publicly([theirs])  # a later spelling of a public skill changes nothing
    assert Skill.objects.filter(name=public).exists()


def test_admin_refuses_control_characters_in_names() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    add_unlisted([FLUTE])
    skill = Skill.objects.get(name=FLUTE)
    content = {
        "category": skill.category_id,
        "aliases-TOTAL_FORMS": "1",
        "aliases-INITIAL_FORMS": "0",
        "aliases-0-name": "",
    }
    skill_page, company_page = f"/admin/skills/skill/{skill.pk}/change/", "/admin/postings/company/add/"
    for page, fields in (
        (skill_page, content | {"name": "ab\u202ecd"}),
        (skill_page, content | {"name": FLUTE, "aliases-0-name": "a\x07b"}),
        ("/admin/skills/skillcategory/add/", {"name": "a\u2066b"}),
        (company_page, {"name": "Ac\u202eme"}),
    ):
        response = client.post(page, fields)
        assert (response.status_code, b"contains the character U+" in response.content) == (200, True)
    assert not Company.objects.exists()
    assert client.post(skill_page, content | {"name": "Nose flute"}).status_code == 302
