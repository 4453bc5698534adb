"""Cells as people write them, and what they must become: examples, and properties of generated ones."""

import datetime as dt
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.records.normalizing.choices import (
    parse_boolean,
    parse_employment_type,
    parse_english_level,
    parse_experience,
)
from apps.records.normalizing.company_names import folded_company
from apps.records.normalizing.dates import infer_order, parse_moment
from apps.records.normalizing.encodings import detect_encoding
from apps.records.normalizing.errors import UnreadableCellError
from apps.records.normalizing.folding import fold
from apps.records.normalizing.gazetteer import coordinates, country_name
from apps.records.normalizing.jobs import years_of_jobs
from apps.records.normalizing.language import detect_language
from apps.records.normalizing.lists import split_skills
from apps.records.normalizing.markup import MAX_HTML, to_markdown
from apps.records.normalizing.money import Salary, parse_salary
from apps.records.normalizing.places import Place, parse_places
from apps.records.normalizing.unknown import is_unknown

NOW = dt.datetime(2026, 11, 28, 9, tzinfo=dt.UTC)


def utc(*parts: int) -> dt.datetime:
    """The moment of year, month, day and so on in UTC."""
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


def salary(low: Any, high: Any, currency: str = "", period: str = "") -> Salary:
    amounts = [None if each is None else Decimal(str(each)) for each in (low, high)]
    return Salary(amounts[0], amounts[1], currency, period)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("€45.000 – 60.000 p.a.", salary(45_000, 60_000, "EUR", "year")),
        ("$80k-$120k/yr", salary(80_000, 120_000, "USD", "year")),
        ("£40,000", salary(40_000, None, "GBP")),
        ("45k-60k", salary(45_000, 60_000)),
        ("45-60k EUR", salary(45_000, 60_000, "EUR")),
        ("18.50/hr", salary("18.50", None, "", "hour")),
        ("$25.50 - $30.00 an hour", salary("25.50", "30.00", "USD", "hour")),
        ("연봉 4,000만원", salary(40_000_000, None, "KRW", "year")),
        ("월급 250만원", salary(2_500_000, None, "KRW", "month")),
        ("月給25万円", salary(250_000, None, "JPY", "month")),
        ("80.000,00 EUR", salary("80000.00", None, "EUR")),
        ("CHF 90'000", salary(90_000, None, "CHF")),
        ("1 234,50 zł", salary("1234.50", None, "PLN")),
        ("₹12 LPA", salary(1_200_000, None, "INR", "year")),
        ("up to £55,000", salary(None, 55_000, "GBP")),
        ("€3.500/Monat", salary(3_500, None, "EUR", "month")),
        ("40 hours a week, $20/hr", salary(20, None, "USD", "hour")),
        ("$120K + 401k", salary(120_000, None, "USD")),
        ("100000 - 50000", salary(50_000, 100_000)),
        ("$65,000-$75,000 401k", salary(65_000, 75_000, "USD")),
        ("40h/week, 3000 EUR/month", salary(3_000, None, "EUR", "month")),
        ("$25/hr (40 hours per week)", salary(25, None, "USD", "hour")),
        ("140-180 тыс. руб. в месяц", salary(140_000, 180_000, "RUB", "month")),
        ("45 000 € / an", salary(45_000, None, "EUR", "year")),
        ("80 000 SEK/år", salary(80_000, None, "SEK", "year")),
        ("3,5-4,5 LPA", salary(350_000, 450_000, "INR", "year")),
        ("年収500万円〜800万円", salary(5_000_000, 8_000_000, "JPY", "year")),
        ("60k-80k USD, 0.1%-0.5% equity", salary(60_000, 80_000, "USD")),
        ("회사 내규에 따름", None),
        ("competitive", None),
        ("DOE", None),
    ],
)
def test_salary_as_people_write_it_is_read(text: str, expected: Salary | None) -> None:
    assert parse_salary(text) == expected


@pytest.mark.parametrize(
    "text", ["hello", "bonus 10%", "6 figures", "TVöD E13", "three apples", "1 or 2 or 3 x 4"]
)
def test_salary_without_amounts_is_not_invented(text: str) -> None:
    with pytest.raises(UnreadableCellError):
        parse_salary(text)


def test_salary_currency_of_a_shared_sign_follows_the_country() -> None:
    assert [parse_salary("$50,000", country=code).currency for code in ("US", "CA", "AU", "")] == [  # type: ignore[union-attr]
        "USD",
        "CAD",
        "AUD",
        "USD",
    ]
    assert parse_salary("kr 45 000", country="SE") == salary(45_000, None, "SEK")


@given(
    low=st.integers(1, 10**7),
    more=st.integers(0, 10**6),
    sign=st.sampled_from(["€", "$", "£"]),
    period=st.sampled_from(["per hour", "/day", "a week", "/month", "p.a."]),
    between=st.sampled_from([" - ", "–", " to ", " bis "]),
)
def test_salary_range_keeps_both_amounts_its_currency_and_period(
    low: int, more: int, sign: str, period: str, between: str
) -> None:
    found = parse_salary(f"{sign}{low:,}{between}{sign}{low + more:,} {period}")
    assert found is not None
    assert (found.minimum, found.maximum) == (low, low + more)
    assert found.currency == {"€": "EUR", "$": "USD", "£": "GBP"}[sign]
    assert (
        found.period
        == {"per hour": "hour", "/day": "day", "a week": "week", "/month": "month", "p.a.": "year"}[period]
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-01", utc(2026, 11, 1)),
        ("01.11.2026", utc(2026, 11, 1)),
        ("13/03/2026", utc(2026, 3, 13)),
        ("03/13/2026", utc(2026, 3, 13)),
        ("2 days ago", utc(2026, 11, 26)),
        ("30+ days ago", utc(2026, 10, 29)),
        ("posted today", utc(2026, 11, 28)),
        ("vor 3 Tagen", utc(2026, 11, 25)),
        ("3일 전", utc(2026, 11, 25)),
        (20251124, utc(2025, 11, 24)),
        (45985, utc(2025, 11, 24)),
        (1713397508000.0, utc(2024, 4, 17, 23, 45, 8)),
        ("1713397508000.0", utc(2024, 4, 17, 23, 45, 8)),
        ("Mon, 24 Nov 2025 08:00:00 +0000", utc(2025, 11, 24, 8)),
        ("24 novembre 2025", utc(2025, 11, 24)),
        ("2025년 11월 24일", utc(2025, 11, 24)),
        ("11/24/2025 3:05 PM", utc(2025, 11, 24, 15, 5)),
        ("2026-11-01T10:00:00+02:00", utc(2026, 11, 1, 8)),
        ("24-Nov-2026", utc(2026, 11, 24)),
        ("24/Nov/2026", utc(2026, 11, 24)),
        ("Nov 24 2026 08:30 AM", utc(2026, 11, 24, 8, 30)),
        ("24. November 2026 17:05", utc(2026, 11, 24, 17, 5)),
        ("2026-11-24T08:00:00 EST", utc(2026, 11, 24, 13)),
        ("1.7639712e9", utc(2025, 11, 24, 8)),
        ("yesterday at 5pm", utc(2026, 11, 27)),
        ("2026. 11. 24.", utc(2026, 11, 24)),
    ],
)
def test_date_as_people_write_it_is_read(value: object, expected: dt.datetime) -> None:
    moment = parse_moment(value, now=NOW)
    assert moment is not None and moment.at == expected


@pytest.mark.parametrize(
    "value", [0, "0", "0000-00-00", "1970-01-01", "1970-01-01T00:00:00Z", "9999-12-31", "00/00/0000"]
)
def test_date_that_stands_for_none_is_none(value: object) -> None:
    assert parse_moment(value, now=NOW) is None


@pytest.mark.parametrize(
    "value", ["May", "5", "hello", "2026-13-01", "31.02.2026", 10**17, "11/03/2026", "1850-01-01", True]
)
def test_date_that_is_none_or_ambiguous_is_an_error(value: object) -> None:
    with pytest.raises(UnreadableCellError):
        parse_moment(value, now=NOW)


def test_order_of_day_and_month_follows_from_the_whole_column() -> None:
    assert infer_order(["11/03/2026", "13/03/2026"]) == "dmy"
    assert infer_order(["11/03/2026", "03/13/2026"]) == "mdy"
    assert infer_order(["01/02/2026"]) is None
    with pytest.raises(UnreadableCellError, match="--dates"):
        infer_order(["13/03/2026", "03/13/2026"])


@given(
    day=st.dates(dt.date(1990, 1, 2), dt.date(2099, 12, 31)),
    form=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%B %d, %Y", "%Y%m%d"]),
)
def test_date_in_any_unambiguous_form_is_that_day(day: dt.date, form: str) -> None:
    moment = parse_moment(day.strftime(form), now=NOW)
    assert moment is not None and moment.at.date() == day and not moment.has_time


@pytest.mark.parametrize(
    ("value", "places", "remote"),
    [
        ("Berlin, Germany", [Place("Berlin", "", "DE")], None),
        ("London, UK", [Place("London", "", "GB")], None),
        ("San Francisco, CA", [Place("San Francisco", "CA", "US")], None),
        ("Toronto, CA", [Place("Toronto", "", "CA")], None),
        ("Remote (US)", [Place("", "", "US")], True),
        ("Remote - EMEA", [Place("", "EMEA", "")], True),
        ("서울 강남구", [Place("서울", "강남구", "KR")], None),
        (
            "San Francisco, CA; London, UK",
            [Place("San Francisco", "CA", "US"), Place("London", "", "GB")],
            None,
        ),
        (["Berlin", "London"], [Place("Berlin"), Place("London")], None),
        ({"name": "Berlin"}, [Place("Berlin")], None),
        ("Germany", [Place("", "", "DE")], None),
        ("Kleinkleckersdorf, DE", [Place("Kleinkleckersdorf", "", "DE")], None),
        ("Wilmington, DE", [Place("Wilmington", "DE", "US")], None),
        ("IL, US", [Place("", "IL", "US")], None),
        ("New York, NY", [Place("New York", "NY", "US")], None),
        ("Tbilisi, Georgia", [Place("Tbilisi", "", "GE")], None),
        ("Atlanta, Georgia", [Place("Atlanta", "GA", "US")], None),
        ("Bayern, DE", [Place("", "Bayern", "DE")], None),
        ("Germany - Bavaria", [Place("", "Bavaria", "DE")], None),
        ("Bayern (Deutschland)", [Place("", "Bayern", "DE")], None),
        ("Bayern, Bayern, DE", [Place("", "Bayern", "DE")], None),
        ("Bayern", [Place("", "Bayern", "DE")], None),
        ({"city": "Bayern", "country": "Germany"}, [Place("", "Bayern", "DE")], None),
        ("Munich, Bavaria", [Place("Munich", "Bavaria", "DE")], None),
        ("California, USA", [Place("", "CA", "US")], None),
        ("Oregon, USA", [Place("", "OR", "US")], None),
        ("New York, USA", [Place("New York", "", "US")], None),
        ("Île-de-France, France", [Place("", "Île-de-France", "FR")], None),
        ("Catalonia, Spain", [Place("", "Catalonia", "ES")], None),
        ("Ontario, Canada", [Place("", "Ontario", "CA")], None),
        ("Toronto, ON", [Place("Toronto", "ON", "CA")], None),
        ("Utrecht, NL", [Place("Utrecht", "", "NL")], None),  # a region too, but people mean the city
        ("경기도", [Place("", "경기도", "KR")], None),
        ("경기도, 대한민국", [Place("", "경기도", "KR")], None),
        ("Berlin & Hamburg", [Place("Berlin"), Place("Hamburg")], None),
        ("Wien/Graz", [Place("Wien"), Place("Graz")], None),
        ("Bosnia and Herzegovina", [Place("", "", "BA")], None),
        ("Berlin, Hamburg, Munich", [Place("Berlin"), Place("Hamburg"), Place("Munich")], None),
        ("Germany, Austria", [Place("", "", "DE"), Place("", "", "AT")], None),
        ("EMEA, APAC", [Place("", "EMEA"), Place("", "APAC")], None),
        ("Georgia, US", [Place("", "GA", "US")], None),
        ("Remote - USA (CA, NY)", [Place("", "CA", "US"), Place("", "NY", "US")], True),
        ("Remote, US only", [Place("", "", "US")], True),
        ("Anywhere in the US", [Place("", "", "US")], None),
        ("Work from anywhere", [], True),
        ("Homeoffice möglich, Köln", [Place("Köln")], True),
        ("D-80331 München", [Place("München")], None),
        ("Berlin, DE-BE", [Place("Berlin", "", "DE")], None),
        ("Paris (75)", [Place("Paris")], None),
        ("London SW1A 1AA", [Place("London")], None),
        ("Austin TX", [Place("Austin", "TX", "US")], None),
        ("Berlin, Germany +2 more", [Place("Berlin", "", "DE")], None),
        ("3 locations", [], None),
        ("40.7128,-74.0060", [], None),
        ("Remote", [], True),
        ("N/A", [], None),
        (
            {"@type": "Place", "address": {"addressLocality": "Oslo", "addressCountry": "NO"}},
            [Place("Oslo", "", "NO")],
            None,
        ),
    ],
)
def test_places_as_people_write_them_are_read(
    value: object, places: list[Place], remote: bool | None
) -> None:
    found = parse_places(value)
    assert (list(found.places), found.remote) == (places, remote)


@pytest.mark.parametrize(
    ("place", "degrees"),
    [
        (("Berlin", "", "DE"), (53, 13)),
        (("München", "Bayern", "Deutschland"), (48, 12)),
        (("서울", "강남구", "KR"), (38, 127)),
        (("Springfield", "IL", "US"), (40, -90)),
        (("Paris", "", ""), (49, 2)),  # much larger than any other
        (("Springfield", "", ""), None),
        (("Berlin", "", "Atlantis"), None),
        (("", "Bayern", "DE"), None),
    ],
)
def test_city_has_coordinates_where_it_is_clear_which_one_is_meant(
    place: tuple[str, str, str], degrees: tuple[int, int] | None
) -> None:
    found = coordinates(*place)
    assert (found and tuple(map(round, found))) == degrees


@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "Germany"), ("ko", "독일"), ("pt-BR", "Alemanha"), ("xx", "Germany"), ("../" * 40, "Germany")],
)
def test_country_has_its_name_in_the_language_or_in_english(language: str, name: str) -> None:
    assert (country_name("DE", language), country_name("Atlantis", language)) == (name, "Atlantis")


@given(
    st.recursive(
        st.text(max_size=80) | st.integers() | st.none(),
        lambda each: (
            st.lists(each, max_size=3)
            | st.dictionaries(
                st.sampled_from(["city", "name", "country", "address", "locations"]), each, max_size=3
            )
        ),
        max_leaves=8,
    )
)
def test_places_of_any_cell_are_bounded_and_raise_nothing(value: object) -> None:
    found = parse_places(value)
    assert all(
        len(part) <= 120 for place in found.places for part in (place.city, place.region, place.country)
    )


@pytest.mark.parametrize(
    "word",
    [
        "N/A", "null", "None", "NaN", "-", "미정", "not specified", "", "  ", float("nan"), None, [], "—",
        "(null)", "<null>", "[None]", "None.", "n / a", "N\\A", "-- --", "???", "_", "''", "TBC", "#REF!",
        "Not disclosed", "該当なし", "не указано", "k. A.",
    ],
)  # fmt: skip
def test_word_for_unknown_is_unknown(word: object) -> None:
    assert is_unknown(word)


@pytest.mark.parametrize("word", ["0", 0, False, "Nano", "Nullarbor", "C", "R", "€", "C++", "○"])
def test_word_that_says_something_is_not_unknown(word: object) -> None:
    assert not is_unknown(word)


@pytest.mark.parametrize(
    ("cell", "skills"),
    [
        ("['Python', 'SQL']", ["Python", "SQL"]),
        ("Python|SQL", ["Python", "SQL"]),
        ("Python, SQL, Excel.", ["Python", "SQL", "Excel"]),
        ("• Patient care\n• Nursing / Wards", ["Patient care", "Nursing", "Wards"]),
        ("C++, C#, .NET, Node.js, R, Go", ["C++", "C#", ".NET", "Node.js", "R", "Go"]),
        ("AI/ML; CI/CD", ["AI/ML", "CI/CD"]),
        ("Excel / SAP", ["Excel", "SAP"]),
        ('["a", "b"]', ["a", "b"]),
        ("None, -", []),
        ([{"name": "Go"}, "Java, Kotlin"], ["Go", "Java", "Kotlin"]),
        ("Java (8, 11), Kotlin", ["Java (8, 11)", "Kotlin"]),
        ("1. Python 2. SQL 3. Excel", ["Python", "SQL", "Excel"]),
        ("Python (5 years), SQL (advanced)", ["Python", "SQL"]),
        ("Skills: Python - SQL - Excel", ["Python", "SQL", "Excel"]),
        ("<ul><li>C&#43;&#43;</li><li>SQL</li></ul>", ["C++", "SQL"]),
        ("Python\\nSQL", ["Python", "SQL"]),
        ("✓ Python ✓ SQL, etc.", ["Python", "SQL"]),
        ("e.g. Python; T-SQL, PL/SQL", ["Python", "T-SQL", "PL/SQL"]),
        ("{'Python','SQL'}", ["Python", "SQL"]),
    ],
)
def test_skills_in_one_cell_are_split_where_they_are_several(cell: object, skills: list[str]) -> None:
    assert split_skills(cell) == skills


@given(
    st.lists(
        st.sampled_from(["Python", "C++", "C#", ".NET", "Node.js", "AI/ML", "Patient care"]),
        min_size=1,
        max_size=6,
        unique=True,
    ),
    st.sampled_from([", ", "; ", "|", "\n", " / ", "\n• "]),
)
def test_skills_joined_by_any_separator_are_the_skills(names: list[str], separator: str) -> None:
    assert split_skills(separator.join(names)) == names


def test_markup_becomes_plain_markdown() -> None:
    html = (
        "<h2 onclick='x()'>Tasks</h2><p>We need <strong>C&#43;&#43;</strong> and "
        "C&#35;.</p><ul><li>One<li>Two</ul>"
        '<b>machine</b>&nbsp;<i>learning</i>&lt;br&gt;<a href="https://example.org/java">apply</a><script>python()</script>'
    )
    assert to_markdown(html) == "## Tasks\n\nWe need C++ and C#.\n\n- One\n- Two\n\nmachine learning\napply"


@pytest.mark.parametrize(("text", "expected"), [
    ("&lt;p&gt;once &amp;amp; for all&lt;/p&gt;", "once & for all"),
    ("AT&amp;T", "AT&T"),
    ("a < b and c > d", "a < b and c > d"),
    ("List<String> and Map<K,V>", "List<String> and Map<K,V>"),
    ("x <b>y</b><script>alert(1)", "x y"),
    ("R&D; x", "R&D; x"),
    ("std::vector<int>, List<String>", "std::vector<int>, List<String>"),
    ("Text <a href='x", "Text"),
    ("<![CDATA[<p>x</p>]]>", "x"),
    ("<o:p>&nbsp;</o:p>word <mark>y</mark>", "word y"),
    ("<!-- c --><style>a{}</style>T", "T"),
])  # fmt: skip
def test_markup_that_is_escaped_broken_or_none_is_read_right(text: str, expected: str) -> None:
    assert to_markdown(text) == expected


@given(st.text(max_size=300))
def test_markup_of_any_text_raises_nothing_and_keeps_text_without_tags(text: str) -> None:
    result = to_markdown(text)
    if "<" not in text and "&" not in text:
        assert result == text


@pytest.mark.parametrize(
    "unit", ["<p>Hello <b>world</b></p>", "<b>", "<ul><li>", "&lt;a ", "<!--", "<table>"]
)
def test_markup_of_a_long_field_takes_time_in_proportion(unit: str) -> None:
    def seconds(characters: int) -> float:
        text = (unit * (characters // len(unit) + 1))[:characters]
        started = time.perf_counter()
        to_markdown(text)
        return time.perf_counter() - started

    seconds(1_000)  # imports
    assert seconds(800_000) < 40 * max(
        seconds(80_000), 0.02
    )  # ten times the text; four times that for a busy machine
    with pytest.raises(UnreadableCellError):
        to_markdown("<p>" + "x" * MAX_HTML)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("fulltime", "full_time"), ("Vollzeit", "full_time"), ("fulltime, parttime", "full_time"),
        ("정규직", "full_time"), ("Internship", "internship"), ("B2B", "contract"), ("Teilzeit", "part_time"),
        ("per diem", "temporary"),
    ],
)  # fmt: skip
def test_employment_type_as_people_write_it_is_read(value: str, expected: str) -> None:
    assert parse_employment_type(value) == expected


@pytest.mark.parametrize(
    ("value", "years"),
    [
        ("3+ years", 3),
        ("5-7 yrs", 5),
        ("Entry level", 0),
        ("신입", 0),
        ("경력 3년", 3),
        ("18 months", 1.5),
        ("1,5 Jahre", 1.5),
        (2.5, 2.5),
    ],
)
def test_experience_as_people_write_it_is_read(value: object, years: float) -> None:
    assert float(parse_experience(value).minimum) == years


@pytest.mark.parametrize("value", ["a lot", "Senior", "100 years", -1])
def test_experience_without_years_is_not_invented(value: object) -> None:
    with pytest.raises(UnreadableCellError):
        parse_experience(value)


def test_english_level_as_people_write_it_is_read() -> None:
    levels = {
        "B2": 4,
        "Upper-Intermediate": 4,
        "fluent": 5,
        "pre": 2,
        "no_english": 0,
        "Business English": 4,
        "pre_intermediate": 2,
    }
    assert {text: parse_english_level(text) for text in levels} == levels
    with pytest.raises(UnreadableCellError):
        parse_english_level("klingon")


def test_boolean_as_people_write_it_is_read() -> None:
    assert [parse_boolean(each) for each in ("yes", 1, "ja", "네", "FALSE", 0, "nein")] == [True] * 4 + [
        False
    ] * 3
    with pytest.raises(UnreadableCellError):
        parse_boolean("maybe")


RUSSIAN = "Имя,Описание\nИван,Разработка и поддержка серверов, опыт от трёх лет\nМария,Уход за пациентами\n"


@pytest.mark.parametrize(("encoding", "text"), [
    ("cp1252", "id,title,city\n1,Überführer für Café,Zürich\n2,Ingénieur à Genève – 40.000 €,Genève\n"),
    ("cp1250", "id,tytuł\n1,Inżynier oprogramowania Łódź\n2,Księgowa w Częstochowie, środek\n"),
    ("cp949", "id,제목,지역\n1,백엔드 개발자,서울 강남구\n2,마케팅 담당자,부산\n"),
    ("shift_jis", "id,タイトル\n1,バックエンドエンジニア\n2,看護師募集,東京都\n"),
    ("cp1251", "id,название\n1,Инженер-программист в Москве\n"),
    ("cp1254", "Ad,Açıklama\nAyşe,Hastaların bakımı, sağlık hizmetleri, Şişli\nÇağrı,Yazılım mühendisi\n"),
    ("iso8859_2", "id,tytuł\n1,Inżynier oprogramowania Łódź\n2,Księgowa w Częstochowie, środek\n"),
    ("mac_roman", "Name,Text\nMüller,Für unsere Großküche in München suchen wir eine Köchin\n"),
    ("koi8_r", RUSSIAN),
    ("cp866", RUSSIAN),
    ("euc_jp", "id,タイトル\n1,バックエンドエンジニア\n2,看護師募集,東京都\n"),
    ("iso2022_jp", "id,タイトル\n1,看護師募集,東京都\n"),
    ("gb18030", "编号,职位\n1,软件工程师,负责后端服务的开发与维护\n2,护士,负责病房护理工作\n"),
    ("big5", "編號,職位\n1,軟體工程師,負責後端服務的開發與維護\n2,護士,負責病房護理工作\n"),
    ("cp1252", "é"),
    ("utf-16", "id,title\n1,Café\n"),
    ("utf-8-sig", "id,title\n1,Café 백엔드\n"),
])  # fmt: skip
def test_encoding_of_a_file_is_found_without_a_wrong_letter(encoding: str, text: str) -> None:
    data = text.encode(encoding)
    assert data.decode(detect_encoding(data)) == text


@given(st.text(min_size=1, max_size=200))
def test_encoding_of_utf_8_is_utf_8(text: str) -> None:
    data = text.encode("utf-8", "ignore")
    if "\x00" not in text and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        assert data.decode(detect_encoding(data)).lstrip("\ufeff") == data.decode().lstrip("\ufeff")


def test_language_of_a_text_is_detected_and_not_guessed_for_a_few_letters() -> None:
    texts = {
        "ko": "Python을 사용하고 Java와 Spring Boot로",
        "ja": "看護師を募集しています",
        "de": "Wir suchen einen Ingenieur für unser Team",
        "en": "We are looking for a nurse who works at night",
    }
    assert {code: detect_language(text) for code, text in texts.items()} == {code: code for code in texts}
    assert detect_language("x") == detect_language("") == ""


def test_company_spellings_of_one_company_fold_to_one_name() -> None:
    assert {
        folded_company(name)
        for name in ("ACME GmbH", "Acme GmbH", "acme  gmbh.", "Acme", "ACME, Inc.", "주식회사 Acme")
    } == {"acme"}
    assert folded_company("GmbH") == "gmbh" and folded_company("Company & Co") != folded_company("Other & Co")


@given(st.text(max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("jobs", "years"),
    [
        (
            [{"startDate": "2020-01", "endDate": "2020-12"}, {"startDate": "2020-07", "endDate": "2021-07"}],
            "1.5",
        ),
        ([{"startDate": "2024-11", "endDate": "Present"}], "2"),
        ([{"Period": {"From": {"Year": 2019, "Month": 11}, "Current": True}}], "7"),
        ([{"StartDate": {"StringDate": "2020"}, "EndDate": {"Year": "2022"}}], "2"),
        ([{"startDate": "2020-01", "endDate": "soon"}, {"startDate": "last year"}, "2020-01", {}], None),
    ],
)
def test_jobs_cover_years_once_and_unreadable_dates_cover_none(jobs: list[Any], years: str | None) -> None:
    assert years_of_jobs(jobs, now=NOW) == (Decimal(years) if years else None)
