"""Who may read the pages of operators, and what browsers may load and do on every page."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobrec_site.headers import NOTHING
from tests.browser import browser_page

TOKEN = "a-token-for-prometheus"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "10.0.0.9", 401),
        ({}, "", 401),
        ({"X-Forwarded-For": "10.0.0.9"}, "127.0.0.1", 401),
        ({"Forwarded": "for=10.0.0.9"}, "127.0.0.1", 401),
        ({"Authorization": f"Bearer {TOKEN}"}, "10.0.0.9", 200),
        ({"Authorization": "Bearer wrong"}, "10.0.0.9", 401),
        ({"Authorization": "Bearer "}, "10.0.0.9", 401),
        ({"Authorization": "Bearer \u00e9"}, "10.0.0.9", 401),
    ],
)
def test_page_of_operators_is_for_this_machine_and_for_the_token(
    path: str, headers: dict[str, str], address: str, status: int, settings: Any
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert Client(headers=headers).get(path, REMOTE_ADDR=address).status_code == status
    settings.METRICS_TOKEN = ""
    expected = 401 if "Authorization" in headers else status
    assert Client(headers=headers).get(path, REMOTE_ADDR=address).status_code == expected


@pytest.mark.django_db
def test_every_response_has_the_headers(clean_cache: None) -> None:
    client = Client(headers={"accept": "text/html"})
    pages = (
        "/",
        "/healthz",
        "/nowhere",
        "/admin/login/",
        "/graphql",
        "/metrics",
        "/static/graphiql/react.min.js",
    )
    for path in pages:
        response = client.get(path, REMOTE_ADDR="10.0.0.9")
        policy = response["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self' 'unsafe-inline'" not in policy
        assert "camera=()" in response["Permissions-Policy"]
    answer = Client().get("/graphql", {"query": "{__typename}"})
    assert answer["Content-Security-Policy"] == NOTHING


@pytest.fixture
def session(live_server: Any, clean_cache: None) -> Any:
    """The address of a web server, the cookie of a signed-in administrator, and the page of a task."""
    client = Client()
    client.force_login(User.objects.create_superuser("chief"))
    schedule = IntervalSchedule.objects.create(every=1, period="days")
    task = PeriodicTask.objects.create(name="t", task="t", interval=schedule)
    return live_server.url, client.cookies["sessionid"].value, task.pk


def test_admin_and_graphiql_violate_no_policy_in_a_browser(session: Any) -> None:
    url, cookie, task = session
    paths = (
        "/admin/",
        "/admin/postings/posting/",
        "/admin/postings/posting/add/",
        "/admin/skills/skill/",
        f"/admin/django_celery_beat/periodictask/{task}/change/",
        "/graphql",
    )
    with browser_page() as page:
        page.context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        for path in paths:
            page.goto(url + path)
            page.wait_for_load_state("networkidle")
            assert problems == [], path
        page.wait_for_selector(".graphiql-container")
        page.goto("about:blank")
        page.goto(f"{url}/graphql#query=%7B__typename%7D")
        page.click("button.graphiql-execute-button")
        page.wait_for_selector('.result-window:has-text("Query")')
        assert problems == []
