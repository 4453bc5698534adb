"""The theme and the sidebar of the admin. Its pages load nothing from other servers."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

UNFOLD = {
    "SITE_TITLE": "jobrec",
    "SITE_HEADER": "jobrec",
    "SITE_SUBHEADER": "Job recommendations",
    "SITE_SYMBOL": "work",
    "SITE_URL": "/admin/",
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "jobrec_site.dashboard.add_statistics",
    "SIDEBAR": {"show_search": True, "navigation": "jobrec_site.admin_theme.navigation"},
    "COLORS": {
        "primary": {
            "50": "oklch(97.0% .014 254.6)",
            "100": "oklch(93.2% .032 255.6)",
            "200": "oklch(88.2% .059 254.1)",
            "300": "oklch(80.9% .105 251.8)",
            "400": "oklch(70.7% .165 254.6)",
            "500": "oklch(62.3% .214 259.8)",
            "600": "oklch(54.6% .245 262.9)",
            "700": "oklch(48.8% .243 264.4)",
            "800": "oklch(42.4% .199 265.6)",
            "900": "oklch(37.9% .146 265.5)",
            "950": "oklch(28.2% .091 267.9)",
        }
    },
}

# Groups of the sidebar: (title, icon, model) of each page
GROUPS = {
    "Corpus": [
        ("Postings", "work", "postings.posting"),
        ("Companies", "apartment", "postings.company"),
        ("Candidates", "badge", "candidates.candidate"),
        ("Imports", "upload_file", "records.import"),
        ("Copies", "content_copy", "recommendations.postingcopy"),
        ("Interactions", "touch_app", "recommendations.interaction"),
        ("Sponsored postings", "campaign", "recommendations.sponsoredposting"),
        ("Ranking", "tune", "recommendations.rankingoptions"),
        ("Skills", "psychology", "skills.skill"),
        ("Skill categories", "category", "skills.skillcategory"),
    ],
    "Embedding": [
        ("Runs", "play_circle", "embeddings.embeddingrun"),
        ("Chunks", "view_module", "embeddings.embeddingchunk"),
        ("Dead letters", "report", "embeddings.deadletter"),
        ("Models", "model_training", "embeddings.embeddingmodel"),
    ],
    "Schedules": [
        ("Periodic tasks", "schedule", "django_celery_beat.periodictask"),
        ("Intervals", "timer", "django_celery_beat.intervalschedule"),
        ("Crontabs", "calendar_month", "django_celery_beat.crontabschedule"),
    ],
    "Access": [
        ("Users", "person", "auth.user"),
        ("Groups", "group", "auth.group"),
        ("Tokens", "key", "access.accesstoken"),
    ],
}


def navigation(_request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links in the sidebar. The theme hides those that the user may not see."""
    from django.conf import settings

    tools = [("GraphiQL", "terminal", reverse("graphql"))] if settings.GRAPHIQL else []
    if settings.FLOWER_URL:
        tools.append(("Flower", "local_florist", settings.FLOWER_URL))
    groups = [
        {"title": title, "separator": True, "items": [_link(*entry) for entry in entries]}
        for title, entries in GROUPS.items()
    ]
    groups.append(
        {
            "title": "Tools",
            "separator": True,
            "items": [{"title": title, "icon": icon, "link": link} for title, icon, link in tools],
        }
    )
    return [
        {"items": [{"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}]},
        *(group for group in groups if group["items"]),
    ]


def _link(title: str, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse(f"admin:{app}_{name}_changelist"),
        "permission": _may_see(app, name),
    }


def _may_see(app: str, name: str) -> Callable[[HttpRequest], bool]:
    def may(request: HttpRequest) -> bool:
        return any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))

    return may
