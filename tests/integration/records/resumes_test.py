"""Folders and files of résumés become candidates."""

from decimal import Decimal
from pathlib import Path

import docx
import pytest
from django.core.management.base import CommandError

from apps.candidates.models import Candidate
from apps.postings.models import Posting
from apps.records.models import EnglishLevel, Import
from tests.integration.records.importing import rejects, run

pytestmark = pytest.mark.django_db

MARKDOWN = """# Ada Field
Backend engineer

Location: Berlin, Germany

## Experience
Jan 2020 - Dec 2023: built services with Python and PostgreSQL.

## Languages
English: B2
"""
PLAIN = (
    "Wohnort: Wien, Österreich\n\nPosition: Köchin\n\nIch habe 7 Jahre Berufserfahrung in großen Küchen.\n"
)


def pdf(*lines: str) -> bytes:
    """A PDF of one page with a text of these lines; without lines a page such as a scan has."""
    shown = "".join(f"({line}) Tj T* " for line in lines)
    content = f"BT /F1 12 Tf 14 TL 72 720 Td {shown}ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    written, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(written)
    return written + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four résumés, one of them in a subfolder, a scan, a damaged file and a picture."""
    path = tmp_path / "cvs.2026"
    (path / "kitchen").mkdir(parents=True)
    (path / "ada.md").write_text(MARKDOWN)
    (path / "kitchen" / "koechin.txt").write_bytes(PLAIN.encode("cp1252"))
    (path / "nurse.pdf").write_bytes(
        pdf("Grace Hill", "Registered nurse", "12 years of experience with Patient care in two hospitals")
    )
    document = docx.Document()
    document.add_heading("Profile", 1)
    document.add_paragraph("Title: Data analyst")
    document.add_paragraph("Five dashboards with SQL", style="List Bullet")
    document.add_table(1, 2).rows[0].cells[0].text = "Tableau"
    document.save(str(path / "analyst.docx"))
    (path / "scan.pdf").write_bytes(pdf())
    (path / "broken.docx").write_bytes(b"PK\x03\x04 not a document")
    (path / "photo.jpg").write_bytes(b"\xff\xd8")
    (path / ".hidden.md").write_text(MARKDOWN)
    return path


def people() -> dict[str, Candidate]:
    return {each.external_id: each for each in Candidate.objects.all()}


def test_folder_becomes_candidates_and_what_cannot_be_read_is_reported(folder: Path) -> None:
    with pytest.raises(CommandError, match="2 rows were rejected"):
        run("import_candidates", folder)
    found = people()
    assert found.keys() == {"ada.md", "kitchen/koechin.txt", "nurse.pdf", "analyst.docx"}
    assert {each.source for each in found.values()} == {"cvs.2026"}
    ada, cook, nurse = found["ada.md"], found["kitchen/koechin.txt"], found["nurse.pdf"]
    assert (ada.headline, ada.city, ada.country, ada.experience_years, ada.english_level) == (
        "Backend engineer",
        "Berlin",
        "DE",
        Decimal("3.9"),
        EnglishLevel.UPPER_INTERMEDIATE,
    )
    assert {"PostgreSQL", "Python"} <= set(ada.skills_text.split(", "))
    assert (cook.headline, cook.city, cook.country, cook.experience_years) == ("Köchin", "Wien", "AT", 7)
    assert cook.language == "de" and "großen Küchen" in cook.resume and cook.english_level is None
    assert (nurse.headline, nurse.experience_years, nurse.city) == ("Registered nurse", 12, "")
    analyst = found["analyst.docx"]
    assert analyst.headline == "Data analyst" and "- Five dashboards with SQL" in analyst.resume
    assert {"SQL", "Tableau"} <= set(analyst.skills.values_list("name", flat=True))
    refused = {each["external_id"]: each["reasons"][0]["reason"] for each in rejects(folder)}
    assert refused.keys() == {"scan.pdf", "broken.docx"}
    assert "it may be a scan" in refused["scan.pdf"]


def test_second_import_touches_nothing_and_a_single_file_is_the_same_candidate(folder: Path) -> None:
    (folder / "scan.pdf").unlink()
    (folder / "broken.docx").unlink()
    out, _ = run("import_candidates", folder)
    assert "4 rows: 4 new" in out and "source cvs.2026" in out and "photo.jpg" in out
    out, _ = run("import_candidates", folder)
    assert "0 new, 0 updated, 4 unchanged" in out
    (folder / "ada.md").write_text(MARKDOWN.replace("Backend engineer", "Data engineer"))
    out, _ = run("import_candidates", folder / "ada.md")
    assert "0 new, 1 updated" in out and people()["ada.md"].headline == "Data engineer"
    assert [each.rows for each in Import.objects.order_by("pk")] == [4, 4, 1]


def test_preview_and_dry_run_show_and_store_nothing(folder: Path) -> None:
    out, _ = run("import_candidates", folder, "--preview")
    assert "Backend engineer" in out and "[fields]" not in out
    with pytest.raises(CommandError, match="2 rows were rejected; all others are fine"):
        run("import_candidates", folder, "--dry-run")
    assert not Candidate.objects.exists() and not Import.objects.exists()


def test_source_and_a_mapping_that_names_defaults_hold_for_resumes(folder: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text('[defaults]\nsource = "fair"\nremote = true\n')
    run("import_candidates", folder / "ada.md", "--mapping", str(mapping))
    run("import_candidates", folder / "ada.md", "--source", "other")
    assert set(Candidate.objects.values_list("source", "remote")) == {("fair", True), ("other", False)}


def test_table_in_a_text_file_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "people.txt"
    path.write_text("external_id\theadline\n1\tCook\n2\tBaker\n")
    run("import_candidates", path)
    assert set(Candidate.objects.values_list("external_id", "source")) == {("1", "people"), ("2", "people")}


def test_folder_without_documents_and_folder_of_postings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no document"):
        run("import_candidates", tmp_path)
    with pytest.raises(CommandError, match="directory"):
        run("import_postings", tmp_path)
    assert not Candidate.objects.exists() and not Posting.objects.exists()
