"""Names of places in PostgreSQL and in Python are the same: generated places."""

import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Literal

import pytest
from django.db import connection
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.postings.models import Posting
from apps.records.normalizing.folding import fold
from apps.records.normalizing.place_names import names_of
from apps.records.normalizing.places import parse_places

# Halves of surrogate pairs, which PostgreSQL does not store, and what one of the two Unicodes may not know.
UNKNOWN: tuple[Literal["Cs", "Cn", "Co"], ...] = ("Cs", "Cn", "Co")
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=UNKNOWN), max_size=20)
SPECIAL = st.text(
    st.sampled_from("ßẞİıſKÅøØđĐłŁæÆœŒþÞħĦﬁǅέΣςσ한ᄒ\u0301\u0345\u0130\u00a0\u3000 \t\nａＡ①㎏ⅣÀ"),
    max_size=12,
)

Named = tuple[str, str, str]  # city, region, country
CITIES = ("Berlin", "München", "Paris", "Springfield", "")
REGIONS = ("Bayern", "TX", "IL", "")
COUNTRIES = ("DE", "FR", "US", "")
PLACES = st.tuples(st.sampled_from(CITIES), st.sampled_from(REGIONS), st.sampled_from(COUNTRIES))
ROWS = st.lists(st.lists(PLACES, min_size=1, max_size=3, unique=True), min_size=1, max_size=8)
WRITTEN: list[Callable[[str], str]] = [str, str.lower, str.upper, lambda text: text.replace("ü", "u")]
# One name, or a city with its region or country, written in any case and without accents.
ONE_NAME = st.sampled_from([name for name in (*CITIES, *REGIONS, *COUNTRIES) if name])
CITY_IN = st.tuples(*map(st.sampled_from, (CITIES[:-1], REGIONS, COUNTRIES))).filter(
    lambda place: any(place[1:])
)
WANTED = st.tuples(
    ONE_NAME | CITY_IN.map(lambda place: ", ".join(filter(None, place))),
    st.sampled_from(WRITTEN),
).map(lambda pair: pair[1](pair[0]))


def folded_by_postgresql(texts: list[str]) -> list[str]:
    """Fold texts in the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT jobrec_fold(text) FROM unnest(%s::text[]) WITH ORDINALITY AS t(text, n) ORDER BY n",
            [texts],
        )
        return [row[0] for row in cursor.fetchall()]


@pytest.mark.usefixtures("servers")
class PlaceNamesTest(TestCase):
    """Each example runs in a transaction of its own."""

    @settings(max_examples=100)
    @given(st.lists(TEXTS | SPECIAL, max_size=30))
    @example(["  São  Paulo ", "ＺÜＲＩＣＨ", "Łódź", "서울", "Straße", "İstanbul", "", " "])
    def test_fold_is_the_same_in_python_and_postgresql(self, texts: list[str]) -> None:
        assert folded_by_postgresql(texts) == [fold(text) for text in texts]

    def test_fold_of_every_character_is_the_same_in_python_and_postgresql(self) -> None:
        known = [chr(code) for code in range(1, 0x110000) if unicodedata.category(chr(code)) not in UNKNOWN]
        pairs = zip(known, folded_by_postgresql(known), map(fold, known), strict=True)
        assert {char: (theirs, ours) for char, theirs, ours in pairs if theirs != ours} == {}

    @settings(max_examples=60)
    @given(ROWS, WANTED)
    @example([[("Berlin", "", "DE")], [("Paris", "TX", "US"), ("Berlin", "", "")]], "Berlin")
    @example([[("Paris", "TX", ""), ("Paris", "", "US")], [("Paris", "TX", "US")]], "Paris, TX, US")
    def test_names_of_a_place_find_exactly_the_rows_that_are_there(
        self, rows: list[list[Named]], text: str
    ) -> None:
        for number, places in enumerate(rows):
            listed = [dict(zip(("city", "region", "country"), place, strict=True)) for place in places]
            several = listed if len(listed) > 1 else []
            Posting.objects.create(
                source="a", external_id=str(number), title="A", places=several, **listed[0]
            )
        names, holds_all = names_of(text)
        condition = {f"place_names__{'contains' if holds_all else 'overlap'}": names}
        found = Posting.objects.filter(source="a", **condition).values_list("external_id", flat=True)
        expected = {
            str(number) for number, places in enumerate(rows) if any(map(partial(_is_in, text), places))
        }
        assert set(found) == expected


def _is_in(text: str, place: Named) -> bool:
    """Whether a place has the one name, or all parts, of `text`."""
    [wanted] = parse_places(text).places
    parts = [fold(part) for part in (wanted.city, wanted.region, wanted.country)]
    own = [fold(part) for part in place]
    if parts[0] and any(parts[1:]):
        return all(part in ("", mine) for part, mine in zip(parts, own, strict=True))
    return fold(text) in own
