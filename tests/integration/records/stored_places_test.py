"""The command `convert_places`: places that an earlier version or plain SQL stored."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from apps.embeddings.models import Kind
from apps.postings.models import Posting
from apps.recommendations.services import filtered
from tests.integration.records.importing import run

pytestmark = pytest.mark.django_db


def convert(kind: str, *options: str) -> str:
    """Run the command and return what it prints."""
    out = StringIO()
    call_command("convert_places", kind, *options, stdout=out)
    return out.getvalue()


def posting(external_id: str, **columns: Any) -> Posting:
    """A stored posting."""
    return Posting.objects.create(source="a", external_id=external_id, title="Engineer", **columns)


def found(**conditions: Any) -> set[str]:
    """The external ids of the postings that fulfil the conditions."""
    rows: Any = filtered(Kind.POSTING, conditions)
    return set(rows.values_list("external_id", flat=True))


def test_convert_places_gives_stored_rows_codes_regions_and_coordinates(
    clean_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    invalidated: list[Any] = []
    monkeypatch.setattr(
        "apps.records.stored_places.invalidate_on_commit", lambda _, ids: invalidated.append(ids)
    )
    named = posting("named", city="Berlin", country="Germany", remote=True)
    region = posting("region", city="Bayern", country="Deutschland")
    two = [
        {"city": "Paris", "region": "", "country": "France"},
        {"city": "", "region": "", "country": "Chile"},
    ]
    several = posting("several", city="Paris", country="France", places=two, remote=True)
    posting("none")
    current = posting("current", region="EMEA")
    assert found(eligible_in="Germany") == {"region", "none", "current"}
    assert "4 rows with a place read, 3 would be converted" in convert("postings", "--dry-run")
    assert Posting.objects.get(pk=named.pk).country == "Germany" and not invalidated
    assert "3 converted, 2 have coordinates" in convert("postings")
    assert invalidated == [[named.pk, region.pk, several.pk]]
    assert found(eligible_in="Germany") == {"named", "region", "none", "current"}
    assert found(eligible_in="Chile") == {"several", "region", "none", "current"}
    for row in (named, region, several, current):
        row.refresh_from_db()
    assert (named.country, named.coordinates) == ("DE", [52.52437, 13.41053])
    assert (region.city, region.region, region.country) == ("", "Bayern", "DE")
    assert [place["country"] for place in several.places] == ["FR", "CL"]
    assert several.coordinates == [48.85341, 2.3488, None, None] and "@48,2" in several.place_names
    assert current.region == "EMEA" and current.coordinates == []
    assert "0 converted" in convert("postings")


def test_convert_places_converts_what_the_source_said_of_an_edited_place(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text("external_id,title,city,country\n1,Cook,Bayern,Germany\n")
    edits = {
        "country": {"source": "Germany", "by": "ann", "at": ""},
        "city": {"source": "Bayern", "by": "ann", "at": ""},
    }
    Posting.objects.create(
        source="feed", external_id="1", title="Cook", city="Wien", country="Austria", hand_edits=edits
    )
    convert("postings")
    row = Posting.objects.get()
    assert (row.city, row.country, [round(each or 0) for each in row.coordinates]) == ("Wien", "AT", [48, 16])
    assert {name: edit["source"] for name, edit in row.hand_edits.items()} == {"country": "DE", "city": ""}
    out, _ = run("import_postings", file)
    row.refresh_from_db()
    assert (row.city, row.region, row.country, "conflict" in out) == ("Wien", "", "AT", False)


def test_place_of_an_imported_row_has_coordinates_that_follow_the_place(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    file.write_text('external_id,title,location\n1,Cook,"Berlin, Germany; Remote; Mumblewick"\n')
    run("import_postings", file)
    assert Posting.objects.get().coordinates == [52.52437, 13.41053, None, None]
    narrow = tmp_path / "narrow.csv"
    narrow.write_text("external_id,salary_min\n1,50000\n")
    run("import_postings", narrow, "--source", "feed")
    assert Posting.objects.get().coordinates == [52.52437, 13.41053, None, None]
    file.write_text('external_id,title,location\n1,Cook,"Vienna, Austria"\n')
    run("import_postings", file)
    row = Posting.objects.get()
    assert row.coordinates == [48.20849, 16.37208] and "@48,16" in row.place_names
