"""The command `recommend`."""

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", " "], "--text is empty"),
        (["--text", ""], "--text is empty"),
        (["--candidate", ""], "There is no candidate ''"),
        (["--posting", "99"], "There is no posting '99'"),
        (["--candidate", "1", "--similar"], "--similar does not work with --candidate"),
        (["--text", "nurse", "--similar"], "--similar does not work with --text"),
        (["--text", "nurse", "--limit", "0"], "--limit 0 is too small"),
    ],
)
def test_recommend_names_the_fault_when_an_argument_is_wrong(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("recommend", *arguments)
