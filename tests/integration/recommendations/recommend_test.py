import pytest
from django.core.management import call_command
from django.core.management.base import CommandError


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", " "], "--text is empty"),
        (["--text", ""], "--text is empty"),
        (["--candidate", ""], "there is no candidate ''"),
        (["--posting", "99"], "there is no posting '99'"),
        (["--candidate", "1", "--similar"], "--similar goes with --posting, not with --candidate"),
        (["--text", "nurse", "--similar"], "--similar goes with --posting, not with --text"),
        (["--text", "nurse", "--limit", "0"], "--limit 0: how many to print"),
    ],
)
def test_wrong_arguments_say_what_would_be_right(arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("recommend", *arguments)
