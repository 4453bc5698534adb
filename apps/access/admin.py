"""Bearer tokens: made here or by command, revoked here, never shown again."""

from typing import Any

from django import forms
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
    list_display = ["name", "user", "hint", "state_badge", "created_at", "last_used_at", "expires_at"]
    list_select_related = ["user"]
    search_fields = ["name", "user__username"]
    actions = ["revoke"]
    fields = ["user", "name", "expires_at"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # revoked ones stay: they say who could do what

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_change_permission(request))

    def save_model(self, request: HttpRequest, obj: AccessToken, form: forms.ModelForm, change: bool) -> None:  # type: ignore[type-arg]  # no generic when it runs
        token, secret = create_token(obj.user, name=obj.name, expires_at=obj.expires_at)
        obj.pk = token.pk
        text = format_html("The token is shown this once: <code>{}</code>", secret)
        self.message_user(request, text, messages.WARNING)

    @admin.action(description="Revoke: useless from now on", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[AccessToken]) -> None:
        count = sum(revoke_token(token) for token in tokens)
        self.message_user(request, f"{count} tokens revoked", messages.SUCCESS)

    @display(description="State", label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def state_badge(self, token: AccessToken) -> str:
        return token.state
