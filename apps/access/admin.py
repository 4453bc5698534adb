"""The admin page of bearer tokens: the secret is shown once, and tokens are revoked rather than deleted."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.access.models import AccessToken
from apps.access.services import create_token, revoke_token


@admin.register(AccessToken)
class AccessTokenAdmin(ModelAdmin):
    """Tokens are created and revoked, never edited or deleted."""

    list_display = ["name", "user", "hint", "state_badge", "created_at", "last_used_at", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    actions = ["revoke"]
    fields = ["user", "name", "expires_at"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked tokens stay, as a record of who had access

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether the user may revoke tokens: those who may change them."""
        return bool(super().has_change_permission(request))

    def save_model(self, request: HttpRequest, obj: AccessToken, form: Any, change: bool) -> None:
        token, secret = create_token(obj.user, name=obj.name, expires_at=obj.expires_at)
        obj.pk = token.pk
        text = format_html("Copy the token now, it is not shown again: <code>{}</code>", secret)
        self.message_user(request, text, messages.WARNING)

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[AccessToken]) -> None:
        """Revoke the selected tokens."""
        count = sum(revoke_token(token) for token in tokens)
        self.message_user(request, f"{count} tokens revoked", messages.SUCCESS)

    @display(description="State", label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def state_badge(self, token: AccessToken) -> str:
        """The state of the token, as a colored label."""
        return token.state
