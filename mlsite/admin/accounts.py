"""Accounts in the admin: a lead manages reviewers and leads, but cannot grant more than a lead may do.

Superusers get Django's forms.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, Exists, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html

from mlsite import accounts
from mlsite.forms import AccountForm, NewAccountForm, NewPasswordForm
from review.models import Decision
from review.roles import LEADS, REVIEWERS

if TYPE_CHECKING:
    DjangoUserAdmin = UserAdmin[User]  # generic in its type stubs only
else:
    DjangoUserAdmin = UserAdmin

admin.site.unregister(User)


class RoleFilter(admin.SimpleListFilter):
    title = "role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("lead", "Lead"), ("reviewer", "Reviewer"), ("none", "None")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = {
            "lead": {"is_lead": True},
            "reviewer": {"is_lead": False, "is_reviewer": True},
            "none": {"is_lead": False, "is_reviewer": False},
        }
        return queryset.filter(**wanted.get(self.value() or "", {}))


@admin.register(User)
class AccountAdmin(DjangoUserAdmin):
    list_display = ("username", "role", "is_active", "last_login", "decisions_made")
    list_per_page = 50

    def get_list_filter(self, request: HttpRequest) -> Any:
        return super().get_list_filter(request) if is_superuser(request) else (RoleFilter, "is_active")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Hides accounts that a lead may not see, from every view."""
        groups = Group.objects.filter(user=OuterRef("pk"))
        # Decisions that the reviewer has not undone.
        decisions = Decision.objects.filter(reviewer=OuterRef("pk"), undone_by__isnull=True)
        decisions = decisions.filter(kind__in=Decision.CAN_BE_UNDONE).order_by()
        counted = decisions.values("reviewer").annotate(number=Count("pk")).values("number")
        found = super().get_queryset(request)
        found = found if is_superuser(request) else found.filter(is_staff=True, is_superuser=False)
        return found.annotate(
            is_lead=Exists(groups.filter(name=LEADS)),
            is_reviewer=Exists(groups.filter(name=REVIEWERS)),
            decision_count=Coalesce(Subquery(counted, output_field=IntegerField()), 0),
        )

    # --- The columns ------------------------------------------------------------------------------

    @admin.display(ordering="is_lead")
    def role(self, account: Any) -> str:
        if account.is_superuser:
            return "Superuser"
        return "Lead" if account.is_lead else "Reviewer" if account.is_reviewer else "–"

    @admin.display(ordering="decision_count")
    def decisions_made(self, account: Any) -> int:
        return int(account.decision_count)

    @admin.display(description="password")
    def password_link(self, account: User) -> str:
        url = reverse("admin:auth_user_password_change", args=[account.pk])
        return format_html('<a class="button" href="{}">Set a new password</a>', url)

    # --- What a lead may do -----------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """False if the account may do more than a lead, who could otherwise set its password and log in with it."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or is_superuser(request) or not accounts.may_do_more_than_a_lead(obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Decisions keep their author. A superuser may delete an account without decisions."""
        return is_superuser(request) and super().has_delete_permission(request, obj)

    # --- The forms --------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if is_superuser(request):
            return super().get_fieldsets(request, obj)
        if obj is None:
            password = {
                "fields": ("password1", "password2"),
                "description": "Leave both fields empty to generate a password. You see it once.",
            }
            return [(None, {"fields": ("username", "role")}), ("Password", password)]
        account: dict[str, Any] = {"fields": ("username", "password_link")}
        if not self.has_change_permission(request, obj):
            why = "Only a superuser can change this account: it may do more than a lead."
            account = {"fields": ("username",), "description": why}
        return [
            (None, account),
            ("Personal info", {"fields": ("first_name", "last_name", "email")}),
            ("Access", {"fields": ("is_active", "role")}),
            ("Activity", {"fields": ("last_login", "date_joined", "decisions_made")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if is_superuser(request) or obj is None:
            return super().get_readonly_fields(request, obj)
        return ("username", "password_link", "last_login", "date_joined", "decisions_made")

    def get_form(  # type: ignore[override] # as in Django's own class
        self, request: HttpRequest, obj: User | None = None, **kwargs: Any
    ) -> type[ModelForm[User]]:
        if is_superuser(request):
            return super().get_form(request, obj, **kwargs)
        form = super().get_form(request, obj, **kwargs, form=NewAccountForm if obj is None else AccountForm)
        if issubclass(form, AccountForm):
            assert isinstance(request.user, User)  # noqa: S101
            form.changed_by = request.user  # the admin creates this class for each request
        return form

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if isinstance(form, AccountForm | NewAccountForm):
            accounts.account_set_role(account=form.instance, role=form.cleaned_data["role"])
        if password := getattr(form, "generated_password", ""):
            text = "Give {} this password now; you won't see it again: <strong>{}</strong>"
            self.message_user(request, format_html(text, form.instance, password), messages.WARNING)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        if is_superuser(request):
            return super().user_change_password(request, id, form_url)
        if self.has_change_permission(request) and unquote(id) == str(request.user.pk):
            return redirect("admin:password_change")  # it asks for the old password
        # A copy, because Django reads the form from this object, which all requests share.
        copied = copy.copy(self)
        copied.change_password_form = NewPasswordForm
        copied.change_user_password_template = "admin/new_password.html"  # noqa: S105 - no password
        return super(AccountAdmin, copied).user_change_password(request, id, form_url)


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)
