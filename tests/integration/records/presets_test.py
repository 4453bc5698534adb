"""Each preset on an invented file: it is recognised, and the row says what the file says."""

import json
from pathlib import Path
from typing import Any

import pytest

from apps.candidates.models import Candidate
from apps.postings.models import Posting
from tests.integration.records.importing import run

pytestmark = pytest.mark.django_db

HTML = "<p>You run <b>Python</b> &amp; SQL.</p><ul><li>Days</li></ul>"
MARKDOWN = "You run Python & SQL.\n\n- Days"
ESCAPED = HTML.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

GREENHOUSE = {
    "jobs": [
        {
            "id": 5100001,
            "title": "Engineer",
            "updated_at": "2026-11-02T10:00:00-05:00",
            "first_published": "2026-11-01T09:00:00-05:00",
            "location": {"name": "Berlin, Germany; London, UK"},
            "absolute_url": "https://boards.example.com/a/jobs/5100001",
            "company_name": "Orbital Kite",
            "language": "en",
            "departments": [{"id": 9, "name": "Platform"}],
            "offices": [{"id": 3, "name": "HQ"}],
            "content": ESCAPED,
            "metadata": None,
        }
    ],
    "meta": {"total": 1},
}
LEVER = [
    {
        "id": "0b1c",
        "text": "Engineer",
        "hostedUrl": "https://jobs.example.co/a/0b1c",
        "applyUrl": "https://jobs.example.co/a/0b1c/apply",
        "createdAt": 1793523600000,
        "country": "DE",
        "workplaceType": "remote",
        "categories": {
            "commitment": "Full-time",
            "department": "R&D",
            "team": "Platform",
            "location": "Berlin",
            "allLocations": ["Berlin", "London, UK"],
        },
        "description": HTML,
        "lists": [{"text": "You bring", "content": "<li>Rust</li><li>Calm</li>"}],
        "additional": "<p>We are kind.</p>",
        "salaryRange": {"min": 60000, "max": 80000, "currency": "EUR", "interval": "per-year-salary"},
    }
]
ASHBY = {
    "apiVersion": "1",
    "jobs": [
        {
            "id": "a5-1",
            "title": "Engineer",
            "location": "Berlin, Germany",
            "secondaryLocations": [{"location": "London, UK"}],
            "department": "R&D",
            "team": "Platform",
            "isListed": True,
            "isRemote": True,
            "workplaceType": "Remote",
            "employmentType": "FullTime",
            "publishedAt": "2026-11-01T14:00:00.000+00:00",
            "jobUrl": "https://jobs.example.com/a/a5-1",
            "descriptionHtml": HTML,
            "descriptionPlain": "You run Python & SQL.",
            "compensation": {"scrapeableCompensationSalarySummary": "€60K - €80K"},
        }
    ],
}
WORKABLE = {
    "name": "Orbital Kite",
    "jobs": [
        {
            "title": "Engineer",
            "shortcode": "5F2A",
            "employment_type": "Full-time",
            "telecommuting": True,
            "department": "Platform",
            "application_url": "https://apply.example.com/5F2A/apply",
            "published_on": "2026-11-01",
            "created_at": "2026-10-30",
            "country": "Germany",
            "city": "Berlin",
            "state": "Berlin",
            "experience": "Entry level",
            "function": "Engineering",
            "locations": [{"country": "Germany", "countryCode": "DE", "city": "Berlin", "region": "Berlin"}],
            "description": HTML,
        }
    ],
}
SMARTRECRUITERS = {
    "totalFound": 1,
    "content": [
        {
            "id": "744000",
            "name": "Engineer",
            "refNumber": "REF1",
            "company": {"identifier": "Kite", "name": "Orbital Kite"},
            "releasedDate": "2026-11-01T09:00:00.000Z",
            "location": {"city": "Berlin", "region": "BE", "country": "de", "remote": False},
            "department": {"id": "1", "label": "R&D"},
            "function": {"id": "it", "label": "Information Technology"},
            "typeOfEmployment": {"id": "permanent", "label": "Full-time"},
            "language": {"code": "en", "label": "English"},
            "jobAd": {"sections": {"jobDescription": {"title": "Job", "text": HTML}}},
        }
    ],
}
JOBSPY = (
    "id,site,job_url,title,company,location,date_posted,job_type,interval,min_amount,max_amount,currency,"
    "is_remote,job_function,skills,description\n"
    'in-12,indeed,https://x.example/12,Engineer,Orbital Kite,"Berlin, Germany",2026-11-01,'
    '"fulltime, parttime",yearly,60000.0,80000.0,EUR,True,Platform,"Python, SQL",'
    "You run **Python** &amp; SQL.\n"
)
JOB_POSTING = {
    "@context": "https://schema.org/",
    "@type": "JobPosting",
    "title": "Engineer",
    "description": HTML,
    "identifier": {"@type": "PropertyValue", "value": "so-1"},
    "datePosted": "2026-11-01",
    "validThrough": "2027-01-31",
    "employmentType": ["FULL_TIME"],
    "hiringOrganization": {"@type": "Organization", "name": "Orbital Kite"},
    "jobLocationType": "TELECOMMUTE",
    "jobLocation": {
        "@type": "Place",
        "address": {"@type": "PostalAddress", "addressLocality": "Berlin", "addressCountry": "DE"},
    },
    "baseSalary": {
        "@type": "MonetaryAmount",
        "currency": "EUR",
        "value": {"@type": "QuantitativeValue", "minValue": 60000, "maxValue": 80000, "unitText": "YEAR"},
    },
}
SCHEMA_ORG = f"""<!doctype html><html><head><title>Job</title><script type="application/ld+json">
{json.dumps(JOB_POSTING)}</script></head><body>Engineer</body></html>"""
INDEED = f"""<?xml version="1.0" encoding="utf-8"?><source><publisher>Kite</publisher><job>
<title><![CDATA[Engineer]]></title><date><![CDATA[Sun, 1 Nov 2026 08:00:00 GMT]]></date>
<referencenumber><![CDATA[K-1]]></referencenumber><url>https://x.example/1</url>
<company>Orbital Kite</company><city>Berlin</city><state></state><country>DE</country>
<description><![CDATA[{HTML}]]></description>
<salary>€60k - €80k per year</salary><jobtype>fulltime</jobtype><category>Platform</category>
<remotetype>Fully remote</remotetype></job></source>"""
RSS = f"""<?xml version="1.0"?><rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
<title>Jobs</title><link>https://x.example</link>
<item><title>Engineer</title><link>https://x.example/1</link><guid>rss-1</guid>
<pubDate>Sun, 01 Nov 2026 08:00:00 +0000</pubDate><dc:creator>Orbital Kite</dc:creator>
<category>Platform</category><region>Berlin, Germany</region><description>{ESCAPED}</description>
</item></channel></rss>"""
ADZUNA = {
    "count": 1,
    "results": [
        {
            "id": "4711",
            "title": "Engineer",
            "description": "You run Python & SQL.",
            "created": "2026-11-01T08:00:00Z",
            "redirect_url": "https://x.example/4711",
            "company": {"display_name": "Orbital Kite"},
            "category": {"label": "IT Jobs", "tag": "it-jobs"},
            "location": {"display_name": "Berlin, Germany", "area": ["Germany", "Berlin"]},
            "salary_min": 60000,
            "salary_max": 80000,
            "contract_time": "full_time",
        }
    ],
}

PAID = {"salary_min": 60_000, "salary_max": 80_000, "salary_currency": "EUR", "salary_period": "year"}
AT_KITE: dict[str, Any] = {"company": "Orbital Kite"}
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "greenhouse": (
        "kite.json",
        GREENHOUSE,
        AT_KITE
        | {
            "external_id": "5100001",
            "job_family": "Platform",
            "cities": ["Berlin", "London"],
            "employment_type": "",
        },
    ),
    "lever": (
        "kite.json",
        LEVER,
        PAID
        | {"external_id": "0b1c", "job_family": "R&D", "remote": True, "cities": ["Berlin", "London"]}
        | {"description": f"{MARKDOWN}\n\n### You bring\n\n- Rust\n- Calm\n\nWe are kind."},
    ),
    "ashby": (
        "kite.json",
        ASHBY,
        PAID | {"external_id": "a5-1", "job_family": "R&D", "remote": True, "cities": ["Berlin", "London"]},
    ),
    "workable": ("kite.json", WORKABLE, {"external_id": "5F2A", "job_family": "Engineering", "remote": True}),
    "smartrecruiters": (
        "kite.json",
        SMARTRECRUITERS,
        AT_KITE | {"external_id": "744000", "job_family": "Information Technology", "remote": False},
    ),
    "jobspy": (
        "kite.csv",
        JOBSPY,
        AT_KITE
        | PAID
        | {
            "external_id": "in-12",
            "job_family": "Platform",
            "remote": True,
            "description": "You run **Python** & SQL.",
        },
    ),
    "schema_org": ("kite.html", SCHEMA_ORG, AT_KITE | PAID | {"external_id": "so-1", "remote": True}),
    "indeed_xml": (
        "kite.xml",
        INDEED,
        AT_KITE | PAID | {"external_id": "K-1", "job_family": "Platform", "remote": True},
    ),
    "rss": (
        "kite.rss",
        RSS,
        AT_KITE | {"external_id": "rss-1", "job_family": "Platform", "employment_type": ""},
    ),
    "adzuna": (
        "kite.json",
        ADZUNA,
        AT_KITE
        | {
            "external_id": "4711",
            "job_family": "IT Jobs",
            "salary_min": 60_000,
            "description": "You run Python & SQL.",
        },
    ),
}


@pytest.mark.parametrize("preset", CASES)
def test_preset_is_recognised_and_reads_every_field_of_its_shape(tmp_path: Path, preset: str) -> None:
    name, content, expected = CASES[preset]
    file = tmp_path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    out, err = run("import_postings", file)
    assert f"the preset {preset}" in out and "1 new" in out, out
    assert "left out" not in err
    row = Posting.objects.select_related("company").get()
    expected = {
        "title": "Engineer",
        "description": MARKDOWN,
        "employment_type": "full_time",
        "country": "DE",
        "cities": ["Berlin"],
    } | expected
    found = {name: getattr(row, name, None) for name in expected.keys() - {"cities", "company"}} | {
        "cities": [place["city"] for place in row.places] or [row.city]
    }
    if "company" in expected:
        found["company"] = row.company and row.company.name
    assert found == expected
    assert str(row.published_at)[:10] == "2026-11-01"
    assert set(row.skills_text.split(", ")) >= {"Python", "SQL"}
    out, _ = run("import_postings", file)
    assert "1 unchanged" in out


RESUME = {
    "basics": {
        "name": "Ada Field",
        "label": "Backend engineer",
        "email": "ada@example.org",
        "summary": "Builds services with PostgreSQL.",
        "location": {"city": "Berlin", "countryCode": "DE"},
    },
    "work": [
        {
            "name": "Orbital Kite",
            "position": "Engineer",
            "startDate": "2020-01",
            "endDate": "2023-12",
            "highlights": ["Moved a store"],
        }
    ],
    "education": [{"institution": "TU", "area": "Physics"}],
    "skills": [{"name": "Web", "keywords": ["Python", "Rust"]}],
    "languages": [{"language": "English", "fluency": "Fluent"}],
}


def test_json_resume_becomes_a_candidate_without_name_and_address(tmp_path: Path) -> None:
    file = tmp_path / "resume.json"
    file.write_text(json.dumps(RESUME))
    out, _ = run("import_candidates", file)
    assert "the preset json_resume" in out and "1 new" in out
    row = Candidate.objects.get()
    assert (row.headline, row.city, row.country, row.english_level) == ("Backend engineer", "Berlin", "DE", 5)
    assert row.experience_years is not None and 3.9 <= row.experience_years <= 4
    assert {"Python", "Rust", "PostgreSQL"} <= set(row.skills_text.split(", "))
    assert "Moved a store" in row.resume and "### Engineer" in row.resume and "{" not in row.resume
    assert "ada@example.org" not in f"{row.resume}{row.external_id}" and "Ada Field" not in row.resume
    out, _ = run("import_candidates", file)
    assert "1 unchanged" in out
