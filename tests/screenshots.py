"""Take screenshots of the pages of a running `make run`, into screenshots/.

    python -m tests.screenshots

Signs in as the administrator that `make run` created. Edits sample postings, so that a run is in progress.
"""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import django
from playwright.sync_api import Page

from tests.browser import browser_page, chromium
from tests.stack import wait_until

ResultT = TypeVar("ResultT")

FOLDER = Path(__file__).resolve().parents[1] / "screenshots"
WIDTH, HEIGHT = 1440, 900
EDITED_POSTINGS = 1_000  # enough that the run lasts for several screenshots
QUERY = """\
{
  searchPostings(text: "nurse in intensive care", first: 5) {
    totalCount
    edges {
      score
      node { title city company { name } }
      explanation { vectorScore matchedSkills { name } }
    }
  }
}
"""


def main() -> int:
    """Take all screenshots. Returns the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jobrec_site.settings")
    django.setup()
    from django.conf import settings

    password = settings.DATA_DIR / "admin-password"
    if not password.exists() or chromium() is None:
        print("Screenshots need a running `make run` and Chromium", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    web = f"http://localhost:{settings.WEB_PORT}"
    with browser_page(width=WIDTH, height=HEIGHT) as page:
        sign_in(page, web, password.read_text().strip())
        with run_in_progress():
            take(page, f"{web}/admin/", "dashboard")
            take(page, f"{web}/admin/embeddings/embeddingrun/", "runs")
            take(page, f"{web}/admin/embeddings/embeddingchunk/", "chunks")
        take_tables(page, web)
        take(page, f"{web}/graphql#query={quote(QUERY)}", "graphiql", until="button.graphiql-execute-button")
        page.click("button.graphiql-execute-button")
        page.wait_for_selector('.result-window:has-text("totalCount")')
        page.screenshot(path=FOLDER / "graphiql.png")
        if settings.FLOWER_URL:
            take(page, f"{settings.FLOWER_URL}/workers", "flower", until="text=embed@")
    print(f"The screenshots are in {FOLDER}")
    return 0


def sign_in(page: Page, web: str, password: str) -> None:
    """Sign in to the admin, with a screenshot of the login page."""
    from jobrec_site.local.main_job import ADMIN

    page.goto(f"{web}/admin/")
    page.screenshot(path=FOLDER / "login.png")
    page.fill("input[name=username]", ADMIN)
    page.fill("input[name=password]", password)
    page.click("[type=submit]")
    page.wait_for_selector("text=Dashboard")


def take(page: Page, url: str, name: str, *, until: str = "body") -> None:
    """Take a screenshot of a page once the selector `until` matches."""
    page.goto(url)
    page.wait_for_selector(until)
    page.evaluate("document.fonts.ready")  # the icons are a font
    page.screenshot(path=FOLDER / f"{name}.png")


def take_tables(page: Page, web: str) -> None:
    """Take screenshots of lists and forms of the admin."""
    from apps.postings.models import Posting

    posting = in_thread(lambda: Posting.objects.open().exclude(skills_text="").earliest("pk"))
    for path, name in (
        ("postings/posting/", "postings"),
        (f"postings/posting/{posting.pk}/change/", "posting"),
        ("candidates/candidate/", "candidates"),
        ("skills/skill/", "skills"),
        ("embeddings/embeddingmodel/", "models"),
        ("embeddings/deadletter/", "dead-letters"),
        ("django_celery_beat/periodictask/", "schedules"),
    ):
        take(page, f"{web}/admin/{path}", name)


@contextmanager
def run_in_progress() -> Iterator[None]:
    """A context in which edited postings are being embedded. Restores their texts afterwards."""
    from django.db.models import F, Value
    from django.db.models.functions import Concat, Left, Length

    from apps.embeddings.hints import start_due_runs
    from apps.embeddings.models import EmbeddingRun, Kind
    from apps.postings.models import Posting

    addition = "\n\nPlease apply with a letter."
    ids = in_thread(
        lambda: list(Posting.objects.order_by("pk").values_list("pk", flat=True)[:EDITED_POSTINGS])
    )
    edited = Posting.objects.filter(pk__in=ids)
    in_thread(lambda: edited.update(description=Concat(F("description"), Value(addition))))
    try:
        in_thread(lambda: start_due_runs([Kind.POSTING], reason="postings edited"))
        run = in_thread(lambda: EmbeddingRun.objects.filter(kind=Kind.POSTING).latest("pk"))
        wait_until(lambda: in_thread(lambda: run.progress().embedded), "a chunk is embedded", timeout=300)
        yield
    finally:
        in_thread(
            lambda: edited.update(description=Left("description", Length("description") - len(addition)))
        )


def in_thread(work: Callable[[], ResultT]) -> ResultT:
    """The result of `work` in a thread of its own, since Django refuses to run in an event loop's thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


if __name__ == "__main__":
    sys.exit(main())
