"""Admin pages for models of libraries, restyled by the theme: users, groups, schedules."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedDropdownFilter
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.access.rates import seconds_to_wait
from apps.api.admission import address_of


class LoginForm(AuthenticationForm):
    """The login form, with a rate limit per address against guessing and against the cost of slow hashes."""

    def clean(self) -> dict[str, Any]:
        """Check the rate limit before the password."""
        wait = (
            seconds_to_wait(settings.RATE_LIMIT_LOGIN, f"login-{address_of(self.request)}")
            if self.request
            else None
        )
        if wait is not None:
            raise ValidationError(f"Too many attempts. Try again in {wait} s.")
        cleaned: dict[str, Any] = super().clean()
        return cleaned


admin.site.login_form = LoginForm
admin.site.index_title = "Dashboard"
for registered in (
    User,
    Group,
    PeriodicTask,
    IntervalSchedule,
    CrontabSchedule,
    SolarSchedule,
    ClockedSchedule,
):
    admin.site.unregister(registered)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Users."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "email", "is_staff", "is_superuser", "is_active", "last_login"]
    list_filter = [
        ("is_staff", BooleanRadioFilter),
        ("is_active", BooleanRadioFilter),
        ("groups", RelatedDropdownFilter),
    ]
    list_filter_submit = True


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Groups."""


class TaskSelectWidget(UnfoldAdminSelectWidget, beat.TaskSelectWidget):
    """A choice of the registered tasks, in the style of the theme."""


class PeriodicTaskForm(beat.PeriodicTaskForm):
    """The form of a periodic task, with widgets of the theme."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = TaskSelectWidget()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(beat.PeriodicTaskAdmin, ModelAdmin):
    """Periodic tasks."""

    form = PeriodicTaskForm
    list_display = ["name", "enabled", "scheduler", "task", "last_run_at", "total_run_count"]
    list_filter = [("enabled", BooleanRadioFilter), ("one_off", BooleanRadioFilter)]
    list_filter_submit = True
    date_hierarchy = None


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(beat.IntervalScheduleAdmin, ModelAdmin):
    """Intervals."""


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(beat.CrontabScheduleAdmin, ModelAdmin):
    """Crontabs."""


@admin.register(SolarSchedule)
class SolarScheduleAdmin(beat.SolarScheduleAdmin, ModelAdmin):
    """Schedules by the sun."""


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(beat.ClockedScheduleAdmin, ModelAdmin):
    """Schedules at one moment."""
