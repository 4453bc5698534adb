"""The command that manages bearer tokens."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.access.models import MAX_NAME_CHARACTERS, AccessToken
from apps.access.services import create_token, revoke_token


class Command(BaseCommand):
    """Manage bearer tokens."""

    help = "Manage the bearer tokens of programs that call /graphql."
    requires_system_checks = ()  # the checks import everything that serves HTTP

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="create a token and print its secret, once")
        create.add_argument("user", help="user name that the program acts as")
        create.add_argument("--name", required=True, help="what the token is for")
        create.add_argument(
            "--days", type=int, default=90, help="days until it expires; 0: never (default: %(default)s)"
        )
        actions.add_parser("list", help="list all tokens, newest first")
        revoke = actions.add_parser("revoke", help="revoke a token")
        revoke.add_argument("id", type=int, help="id of the token, as `list` prints it")

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        if action == "create":
            self._create(options["user"], options["name"], options["days"])
        elif action == "list":
            self._list()
        else:
            self._revoke(options["id"])

    def _create(self, user_name: str, name: str, days: int) -> None:
        user = get_user_model()._default_manager.filter(username=user_name).first()
        if user is None:
            raise CommandError(f"Unknown user {user_name!r}: create the user first")
        name = name.strip()
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS:
            raise CommandError(f"--name has {len(name)} characters: 1 to {MAX_NAME_CHARACTERS} are allowed")
        if not 0 <= days <= 36_500:
            raise CommandError(f"--days is {days}: 0 to 36500 are allowed")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        token, secret = create_token(user, name=name, expires_at=expires_at)
        self.stderr.write(f"Token {token.pk} of {user}. Copy it now, it is not shown again:")
        self.stdout.write(secret)

    def _list(self) -> None:
        tokens = AccessToken.objects.select_related("user")
        if not tokens:
            self.stdout.write("No tokens")
        for token in tokens:
            used = f"used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            expires = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "never expires"
            self.stdout.write(
                f"{token.pk}  {token.state:7}  {token.user}  {token.name} ({token.hint}…), {expires}, {used}"
            )

    def _revoke(self, pk: int) -> None:
        token = AccessToken.objects.filter(pk=pk).first()
        if token is None:
            raise CommandError(f"Unknown token {pk}: `tokens list` prints their ids")
        done = revoke_token(token)
        self.stdout.write(f"Token {pk} is revoked" if done else f"Token {pk} was revoked before")
