"""Copies among postings: a list shows one of each group, over HTTP and in the admin."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.candidates.inputs import CandidateInput
from apps.candidates.models import Candidate
from apps.candidates.services import upsert_candidates
from apps.embeddings.models import EmbeddingModel, PostingEmbedding
from apps.postings.inputs import PostingInput
from apps.postings.models import Posting
from apps.postings.services import upsert_postings
from apps.recommendations import copies
from apps.recommendations.interactions import record_interaction
from apps.recommendations.models import PostingCopy, PostingGroup
from apps.recommendations.text_index import update_text_index
from tests.integration.api.conftest import Api, key, names

pytestmark = pytest.mark.usefixtures("db", "clean_cache")

CITIES = ["Oslo", "Bergen", "Tromsø", "Bodø", "Molde"]
TEXT = "You drive trams through the city, help passengers and keep to the timetable. " * 4
SEARCH = """
    query($first: Int, $after: String, $filter: PostingFilter) {
      searchPostings(text: "tram driver", first: $first, after: $after, filter: $filter) {
        totalCount pageInfo { hasNextPage endCursor }
        edges {
          node { externalId city } alternativeCount alternatives { externalId city publishedAt }
        }
      }
    }
"""
RECOMMENDED = """
    query($id: ID!) {
      recommendedPostings(candidateId: $id) { edges { node { externalId } alternativeCount } }
    }
"""
SIMILAR = "query($id: ID!) { similarPostings(postingId: $id) { edges { node { externalId } } } }"


def posting(external_id: str, **values: Any) -> PostingInput:
    return PostingInput.model_validate(
        {
            "external_id": external_id,
            "title": "Tram driver",
            "company": "Sporveien",
            "description": TEXT,
            "published_at": "2026-11-01",
        }
        | values
    )


@pytest.fixture
def copied(db: None, clean_cache: None) -> None:
    """Twenty-five equal postings in five cities, and two other jobs of the kind."""
    upsert_postings(
        [
            *(posting(f"p{number}", city=CITIES[number % 5]) for number in range(25)),
            posting("p-bus", title="Bus and tram driver", company="Ruter", description=f"{TEXT} And buses."),
            posting("p-night", title="Tram driver at night", company="Vy", description=f"Nights. {TEXT}"),
        ]
    )
    upsert_candidates([CandidateInput(external_id="c1", headline="Tram driver", resume="I drive trams.")])
    update_text_index("posting", limit=1_000)


@pytest.mark.usefixtures("copied")
def test_list_shows_one_of_25_copies_with_24_alternatives_next_to_the_other_jobs() -> None:
    found = Api().data(SEARCH, first=10)["searchPostings"]
    assert found["totalCount"] == 3
    [copied] = [edge for edge in found["edges"] if edge["node"]["externalId"] not in ("p-bus", "p-night")]
    assert copied["alternativeCount"] == 24
    assert len(copied["alternatives"]) == 10
    assert copied["node"]["externalId"] not in {each["externalId"] for each in copied["alternatives"]}
    others = [edge["alternativeCount"] for edge in found["edges"] if edge is not copied]
    assert others == [0, 0]


@pytest.mark.usefixtures("copied")
def test_filter_sees_all_members_of_a_group() -> None:
    found = Api().data(SEARCH, first=10, filter={"location": "Molde"})["searchPostings"]
    [edge] = found["edges"]
    assert (edge["node"]["city"], edge["alternativeCount"]) == ("Molde", 4)
    assert {each["city"] for each in edge["alternatives"]} == {"Molde"}


@pytest.mark.usefixtures("copied")
def test_pages_hold_each_group_once() -> None:
    first = Api().data(SEARCH, first=1)["searchPostings"]
    rest = Api().data(SEARCH, first=10, after=first["pageInfo"]["endCursor"])["searchPostings"]
    shown = {int(name[1:]) if name[1:].isdecimal() else name for name in names(first) + names(rest)}
    assert len(names(first) + names(rest)) == 3
    assert len({each for each in shown if isinstance(each, int)}) == 1


@pytest.mark.usefixtures("copied")
def test_application_for_one_copy_covers_all(recruiter: Api) -> None:
    candidate = Candidate.objects.get(external_id="c1").pk
    before = recruiter.data(RECOMMENDED, id=str(candidate))["recommendedPostings"]
    assert len(before["edges"]) == 3
    record_interaction(candidate, Posting.objects.get(external_id="p7").pk, "applied")
    after = recruiter.data(RECOMMENDED, id=str(candidate))["recommendedPostings"]
    assert set(names(after)) == {"p-bus", "p-night"}


@pytest.mark.usefixtures("copied")
def test_similar_postings_hold_no_copy_of_their_own_posting() -> None:
    assert set(names(Api().data(SIMILAR, id=key("p3"))["similarPostings"])) == {"p-bus", "p-night"}


@pytest.mark.usefixtures("copied")
def test_posting_whose_text_and_title_change_leaves_its_group() -> None:
    upsert_postings([posting("p4", title="Conductor", description=f"You check tickets. {TEXT}")])
    update_text_index("posting", limit=1_000)
    assert PostingCopy.objects.get(posting__external_id="p4").group is None
    assert PostingCopy.objects.filter(group__isnull=False).count() == 24


@pytest.mark.usefixtures("copied")
def test_posting_that_changes_from_one_group_to_another_does_not_join_the_two() -> None:
    guard = {"title": "Guard", "company": "Vakt", "description": ""}
    upsert_postings([posting("p-r1", **guard), posting("p-r2", **guard)])
    update_text_index("posting", limit=1_000)
    upsert_postings([posting("p4", **guard)])
    update_text_index("posting", limit=1_000)
    assert sorted(group.members.count() for group in PostingGroup.objects.all()) == [3, 24]


def test_groups_that_a_new_posting_links_become_one() -> None:
    other_text = "You plan the routes of trams, and answer for those who drive them. " * 4
    upsert_postings(
        [
            posting("p1"),
            posting("p2"),
            posting("p3", title="Planner", company="Ruter", description=other_text),
            posting("p4", title="Planner", company="Ruter", description=other_text),
        ]
    )
    update_text_index("posting", limit=1_000)
    assert PostingGroup.objects.count() == 2
    upsert_postings([posting("p5", description=other_text)])
    update_text_index("posting", limit=1_000)
    assert PostingGroup.objects.count() == 1
    assert PostingCopy.objects.filter(group__isnull=False).count() == 5


def test_equal_titles_of_different_companies_with_short_texts_are_no_copies() -> None:
    upsert_postings(
        [posting(f"p{number}", company=f"Company {number}", description="Call us.") for number in range(3)]
    )
    update_text_index("posting", limit=1_000)
    assert not PostingGroup.objects.exists()


@pytest.mark.usefixtures("copied")
def test_person_splits_and_merges_in_the_admin_and_the_rules_follow() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    page = reverse("admin:recommendations_postingcopy_changelist")
    assert "Sporveien" in client.get(page).content.decode()
    separate = [Posting.objects.get(external_id=each).pk for each in ("p1", "p2")]
    client.post(page, {"action": "split", "_selected_action": separate})
    update_text_index("posting", limit=1_000)
    copies.group_copies(separate)
    assert Api().data(SEARCH, first=10)["searchPostings"]["totalCount"] == 5

    upsert_postings([posting(f"p-b{number}", company="Bybanen", city="Bergen") for number in range(2)])
    PostingGroup.objects.all().delete()
    PostingCopy.objects.all().delete()
    copies.group_copies(list(Posting.objects.exclude(company__name="Bybanen").values_list("pk", flat=True)))
    bergen = list(Posting.objects.filter(company__name="Bybanen").values_list("pk", flat=True))
    Posting.objects.filter(pk__in=bergen).update(description="Short.")
    copies.group_copies(bergen)
    members = PostingCopy.objects.filter(posting_id__in=[separate[0], bergen[0]])
    assert members.values("group").distinct().count() == 2
    client.post(page, {"action": "merge", "_selected_action": [each.pk for each in members]})
    assert PostingGroup.objects.count() == 1
    assert PostingCopy.objects.filter(group__isnull=False).count() == 27


@pytest.mark.usefixtures("copied")
def test_new_copy_joins_a_group_that_a_person_merged_and_not_a_posting_that_one_took_out() -> None:
    groups = set(PostingCopy.objects.filter(group__isnull=False).values_list("group_id", flat=True))
    copies.merge(groups)
    upsert_postings([posting("p-late", city="Oslo")])
    update_text_index("posting", limit=1_000)
    assert PostingCopy.objects.get(posting__external_id="p-late").group_id in groups

    copies.split(list(Posting.objects.filter(company__name="Sporveien").values_list("pk", flat=True)))
    upsert_postings([posting("p-later", city="Oslo")])
    update_text_index("posting", limit=1_000)
    assert PostingCopy.objects.get(posting__external_id="p-later").group is None


@pytest.mark.usefixtures("copied")
def test_posting_that_changes_its_company_leaves_the_group_of_its_title() -> None:
    short = {"title": "Conductor", "description": ""}
    upsert_postings([posting("p-c1", **short), posting("p-c2", **short)])
    update_text_index("posting", limit=1_000)
    assert PostingCopy.objects.get(posting__external_id="p-c1").group is not None
    upsert_postings([posting("p-c1", company="Vy", **short)])
    update_text_index("posting", limit=1_000)
    assert PostingCopy.objects.get(posting__external_id="p-c1").group is None


@pytest.mark.django_db(transaction=True)
def test_very_near_vectors_of_one_company_are_copies_and_of_two_companies_are_not() -> None:
    vectors = {"p1": [1.0, 0.0, 0.0], "p2": [1.0, 0.1, 0.0], "p3": [1.0, 0.0, 0.1], "p4": [0.0, 1.0, 0.0]}
    upsert_postings(
        [
            posting(each, title=f"Title {each}", description="", company="Vy" if each == "p3" else "Ruter")
            for each in vectors
        ]
    )
    update_text_index("posting", limit=1_000)
    model = EmbeddingModel.objects.create(name="test", dimensions=3, state="active")
    for each in Posting.objects.all():
        PostingEmbedding.objects.create(
            posting=each, model=model, content_hash=each.content_hash, vector=vectors[each.external_id]
        )
    assert copies.group_near_copies(model, limit=3) == 4
    grouped = PostingCopy.objects.filter(group__isnull=False)
    assert set(grouped.values_list("posting__external_id", flat=True)) == {"p1", "p2"}
    assert copies.group_near_copies(model, limit=10) == 0
