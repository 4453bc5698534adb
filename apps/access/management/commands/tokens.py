from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apps.access.models import LONGEST_NAME, AccessToken
from apps.access.services import create_token, revoke_token


class Command(BaseCommand):
    help = "Bearer tokens for programs that call /graphql."
    requires_system_checks = ()  # they load all that serves HTTP

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        create = actions.add_parser("create", help="makes a token and prints its secret, once")
        create.add_argument("user", help="name of the user that the program acts as")
        create.add_argument("--name", required=True, help="what the token is for")
        create.add_argument("--days", type=int, default=90, help="valid for so many days; 0: for ever")
        actions.add_parser("list", help="all tokens, the newest first")
        revoke = actions.add_parser("revoke", help="makes a token useless from now on")
        revoke.add_argument("id", type=int, help="id of the token, as `list` shows it")

    def handle(self, *_: Any, action: str, **options: Any) -> None:
        if action == "create":
            self._create(options["user"], options["name"], options["days"])
        elif action == "list":
            self._list()
        else:
            self._revoke(options["id"])

    def _create(self, name_of_user: str, name: str, days: int) -> None:
        user = get_user_model()._default_manager.filter(username=name_of_user).first()
        if user is None:
            raise CommandError(f"user: there is no user {name_of_user!r}")
        name = name.strip()
        if not 1 <= len(name) <= LONGEST_NAME:
            raise CommandError(f"--name: 1 to {LONGEST_NAME} characters are needed, not {len(name)}")
        if not 0 <= days <= 36_500:
            raise CommandError(f"--days: {days} is not between 0 and 36500")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        token, secret = create_token(user, name=name, expires_at=expires_at)
        self.stderr.write(f"token {token.pk} of {user}; it is shown this once:")
        self.stdout.write(secret)

    def _list(self) -> None:
        tokens = AccessToken.objects.select_related("user")
        if not tokens:
            self.stdout.write("no tokens")
        for token in tokens:
            used = f"used {token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never used"
            expires = f"expires {token.expires_at:%Y-%m-%d}" if token.expires_at else "never expires"
            self.stdout.write(
                f"{token.pk}  {token.state:7}  {token.user}  {token.name} ({token.hint}…), {expires}, {used}"
            )

    def _revoke(self, pk: int) -> None:
        token = AccessToken.objects.filter(pk=pk).first()
        if token is None:
            raise CommandError(f"id: there is no token {pk}")
        done = revoke_token(token)
        self.stdout.write(f"token {pk} is revoked" if done else f"token {pk} was revoked before")
