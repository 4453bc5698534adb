"""System checks of the settings of embedding."""

from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from apps.embeddings.checks import check_attempts


@pytest.mark.parametrize(
    ("suspect_after", "attempts", "errors"), [(2, 8, 0), (2, 3, 0), (3, 3, 1), (8, 3, 1)]
)
def test_check_refuses_settings_that_leave_no_isolated_attempt(
    settings: Any, suspect_after: int, attempts: int, errors: int
) -> None:
    settings.EMBEDDING_SUSPECT_AFTER, settings.EMBEDDING_ATTEMPTS = suspect_after, attempts
    assert len(check_attempts()) == errors


def test_run_worker_does_not_start_with_settings_that_leave_no_isolated_attempt(settings: Any) -> None:
    settings.EMBEDDING_SUSPECT_AFTER = settings.EMBEDDING_ATTEMPTS = 3
    with pytest.raises(SystemCheckError, match=r"EMBEDDING_SUSPECT_AFTER \(3\) is not less than"):
        call_command("run_worker", "embed", skip_checks=False)
