"""Each preset on an invented file: it is recognised, and the row says what the file says."""

import json
import re
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
    "schema_org of Google for Jobs": (
        "kite.json",
        {"@context": "https://schema.org/", "@graph": [JOB_POSTING, JOB_POSTING | {"@type": "WebSite"}]},
        AT_KITE | PAID | {"external_id": "so-1", "remote": True},
    ),
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
    assert f"the preset {preset.split(maxsplit=1)[0]}" in out and "1 new" in out, out
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


EUROPASS_XML = """<?xml version="1.0" encoding="UTF-8"?>
<SkillsPassport xmlns="http://europass.cedefop.europa.eu/Europass"><Locale>en</Locale>
<DocumentInfo><DocumentType>ECV</DocumentType></DocumentInfo><LearnerInfo>
<Identification><PersonName><FirstName>Ada</FirstName><Surname>Field</Surname></PersonName><ContactInfo>
<Address><Contact><AddressLine>Hofweg 1</AddressLine><PostalCode>10115</PostalCode>
<Municipality>Berlin</Municipality>
<Country><Code>DE</Code><Label>Germany</Label></Country></Contact></Address>
<Email><Contact>ada@example.org</Contact></Email></ContactInfo></Identification>
<Headline><Type><Code>preferred_job</Code><Label>PREFERRED JOB</Label></Type>
<Description><Label>Backend engineer</Label></Description></Headline>
<WorkExperienceList>
<WorkExperience><Period><From year="2022" month="--01" day="---01"/><To year="2023" month="--12"/>
<Current>false</Current>
</Period><Position><Label>Engineer</Label></Position>
<Activities>&lt;p&gt;Moved a store&lt;/p&gt;</Activities>
<Employer><Name>Orbital Kite</Name></Employer></WorkExperience>
<WorkExperience><Period><From year="2020" month="--01"/><To year="2021" month="--12"/></Period>
<Position><Label>Junior engineer</Label></Position><Activities>Kept PostgreSQL alive</Activities>
</WorkExperience>
</WorkExperienceList>
<EducationList><Education><Title>Physics</Title><Organisation><Name>TU</Name></Organisation></Education>
</EducationList>
<Skills><Linguistic><MotherTongueList><MotherTongue><Description><Code>de</Code><Label>German</Label>
</Description>
</MotherTongue></MotherTongueList><ForeignLanguageList>
<ForeignLanguage><Description><Code>fr</Code><Label>French</Label></Description>
<ProficiencyLevel><Listening>A2</Listening></ProficiencyLevel></ForeignLanguage>
<ForeignLanguage><Description><Code>en</Code><Label>English</Label></Description><ProficiencyLevel>
<Listening>C2</Listening><Reading>C2</Reading><Writing>C1</Writing>
</ProficiencyLevel></ForeignLanguage></ForeignLanguageList></Linguistic>
<Computer><Description>Python and Java</Description></Computer></Skills>
</LearnerInfo></SkillsPassport>"""
EUROPASS_JSON = {
    "SkillsPassport": {
        "Locale": "en",
        "LearnerInfo": {
            "Identification": {
                "PersonName": {"FirstName": "Ada", "Surname": "Field"},
                "ContactInfo": {
                    "Address": {
                        "Contact": {
                            "Municipality": "Berlin",
                            "Country": {"Code": "DE", "Label": "Germany"},
                        }
                    },
                    "Email": {"Contact": "ada@example.org"},
                },
            },
            "Headline": {"Description": {"Label": "Backend engineer"}},
            "WorkExperience": [
                {
                    "Period": {"From": {"Year": 2020, "Month": 1}, "To": {"Year": 2023, "Month": 12}},
                    "Position": {"Label": "Engineer"},
                    "Activities": "<p>Moved a store with PostgreSQL</p>",
                }
            ],
            "Education": [{"Title": "Physics"}],
            "Skills": {
                "Linguistic": {
                    "MotherTongue": [{"Description": {"Code": "en", "Label": "English"}}],
                    "ForeignLanguage": [{"Description": {"Code": "de", "Label": "German"}}],
                },
                "Computer": {"Description": "Python and Java"},
            },
        },
    }
}
HR_XML_2 = """<?xml version="1.0"?><Candidates xmlns="http://ns.hr-xml.org/2007-04-15"><Candidate>
<CandidateId><IdValue>c-1</IdValue></CandidateId><Resume><ResumeId idOwner="kite"><IdValue>r-7</IdValue>
</ResumeId>
<StructuredXMLResume><ContactInfo><PersonName><FormattedName>Ada Field</FormattedName></PersonName>
<ContactMethod><InternetEmailAddress>ada@example.org</InternetEmailAddress></ContactMethod>
<ContactMethod><PostalAddress><CountryCode>DE</CountryCode><Municipality>Berlin</Municipality>
</PostalAddress></ContactMethod>
</ContactInfo><ExecutiveSummary>Builds services with PostgreSQL.</ExecutiveSummary>
<EmploymentHistory>
<EmployerOrg><EmployerOrgName>Orbital Kite</EmployerOrgName><PositionHistory positionType="directHire">
<Title>Backend engineer</Title><Description>Moved a store</Description>
<StartDate><YearMonth>2022-01</YearMonth></StartDate><EndDate><YearMonth>2023-12</YearMonth></EndDate>
</PositionHistory></EmployerOrg>
<EmployerOrg><EmployerOrgName>Rowan</EmployerOrgName>
<PositionHistory><Title>Engineer</Title><StartDate><AnyDate>2021-01-01</AnyDate></StartDate>
<EndDate><AnyDate>2021-12-31</AnyDate></EndDate></PositionHistory>
<PositionHistory><Title>Trainee</Title><StartDate><AnyDate>2020-01-01</AnyDate></StartDate>
<EndDate><AnyDate>2020-12-31</AnyDate></EndDate></PositionHistory></EmployerOrg></EmploymentHistory>
<EducationHistory><SchoolOrInstitution><School><SchoolName>TU</SchoolName></School>
<Degree><DegreeName>Master</DegreeName><DegreeMajor><Name>Physics</Name></DegreeMajor></Degree>
</SchoolOrInstitution></EducationHistory>
<Qualifications><Competency name="Python"/><Competency name="Java"/></Qualifications>
<Languages><Language><LanguageCode>de</LanguageCode></Language>
<Language><LanguageCode>en</LanguageCode><Comments>fluent</Comments></Language></Languages>
</StructuredXMLResume></Resume></Candidate></Candidates>"""
HR_XML_3 = """<?xml version="1.0"?>
<Candidate xmlns="http://www.europass.eu/1.0" xmlns:hr="http://www.hr-xml.org/3"
 xmlns:oa="http://www.openapplications.org/oagis/9" xmlns:eures="http://www.europass_eures.eu/1.0">
<hr:DocumentID schemeName="DocumentIdentifier" schemeVersionID="4.0"/><CandidatePerson>
<PersonName><oa:GivenName>Ada</oa:GivenName><hr:FamilyName>Field</hr:FamilyName></PersonName>
<Communication><ChannelCode>Email</ChannelCode><oa:URI>ada@example.org</oa:URI></Communication>
<Communication><UseCode>home</UseCode><Address type="home"><oa:CityName>Berlin</oa:CityName>
<CountryCode>de</CountryCode></Address></Communication>
<PrimaryLanguageCode name="NORMAL">deu</PrimaryLanguageCode>
</CandidatePerson><CandidateProfile languageCode="en">
<hr:ExecutiveSummary>Builds services with PostgreSQL.</hr:ExecutiveSummary>
<EmploymentHistory><EmployerHistory><hr:OrganizationName>Orbital Kite</hr:OrganizationName>
<PositionHistory><PositionTitle typeCode="FREETEXT">Backend engineer</PositionTitle><eures:EmploymentPeriod>
<eures:StartDate><hr:FormattedDateTime>2020-01-01</hr:FormattedDateTime></eures:StartDate>
<eures:EndDate><hr:FormattedDateTime>2023-12-31</hr:FormattedDateTime></eures:EndDate>
<hr:CurrentIndicator>false</hr:CurrentIndicator></eures:EmploymentPeriod>
<oa:Description>&lt;p&gt;Moved a store&lt;/p&gt;</oa:Description></PositionHistory></EmployerHistory>
</EmploymentHistory>
<EducationHistory><EducationOrganizationAttendance><hr:OrganizationName>TU</hr:OrganizationName>
<EducationDegree><hr:DegreeName>Physics</hr:DegreeName></EducationDegree>
</EducationOrganizationAttendance></EducationHistory>
<PersonQualifications><PersonCompetency>
<hr:CompetencyName>Engineering of Python, Java</hr:CompetencyName></PersonCompetency>
<PersonCompetency><hr:CompetencyName>Python</hr:CompetencyName></PersonCompetency>
<PersonCompetency><hr:CompetencyName>Java</hr:CompetencyName></PersonCompetency>
<PersonCompetency><CompetencyID>eng</CompetencyID><hr:TaxonomyID>language</hr:TaxonomyID>
<eures:CompetencyDimension>
<hr:CompetencyDimensionTypeCode>CEF-Understanding-Listening</hr:CompetencyDimensionTypeCode>
<hr:Score><hr:ScoreText>C2</hr:ScoreText></hr:Score></eures:CompetencyDimension>
<eures:CompetencyDimension>
<hr:CompetencyDimensionTypeCode>CEF-Writing-Production</hr:CompetencyDimensionTypeCode>
<hr:Score><hr:ScoreText>C1</hr:ScoreText></hr:Score></eures:CompetencyDimension></PersonCompetency>
</PersonQualifications>
</CandidateProfile></Candidate>"""
ALONE = re.sub(r"<CandidateId>.*?</CandidateId>|</?Candidates?(?: [^>]*)?>", "", HR_XML_2)


@pytest.mark.parametrize(
    ("preset", "content"),
    [
        ("europass", EUROPASS_XML),
        ("europass_json", json.dumps(EUROPASS_JSON)),
        ("hr_xml_2", HR_XML_2),
        ("hr_xml_2", ALONE),
        ("hr_xml_3", HR_XML_3),
    ],
)
def test_resume_of_a_public_shape_becomes_a_candidate_without_name_and_address(
    tmp_path: Path, preset: str, content: str
) -> None:
    file = tmp_path / ("ada.json" if content.startswith("{") else "ada.xml")
    file.write_text(content)
    out, err = run("import_candidates", file)
    assert f"the preset {preset}" in out and "1 new" in out, out
    assert "left out" not in err
    row = Candidate.objects.get()
    assert (row.headline, row.city, row.country, row.english_level) == ("Backend engineer", "Berlin", "DE", 5)
    assert row.experience_years == 4 or (row.experience_years is not None and row.experience_years >= 3.7)
    assert {"Python", "Java", "PostgreSQL"} <= set(row.skills_text.split(", "))
    assert "Moved a store" in row.resume and "Physics" in row.resume and "ngineer" in row.resume
    assert not re.search("[{<]|Ada|Field|Hofweg|example.org", f"{row.resume}{row.external_id}")
    out, _ = run("import_candidates", file)
    assert "1 unchanged" in out
