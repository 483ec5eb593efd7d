"""Forms in which a lead manages reviewers. They hold only the fields that a lead may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm, UserCreationForm
from django.contrib.auth.models import User

from mlsite import accounts
from review.roles import LEADS, REVIEWERS

if TYPE_CHECKING:
    AccountModelForm = forms.ModelForm[User]  # generic in its type stubs only
    AccountCreationForm = UserCreationForm[User]
    PasswordForm = AdminPasswordChangeForm[User]
else:
    AccountModelForm, AccountCreationForm, PasswordForm = forms.ModelForm, UserCreationForm, AdminPasswordChangeForm


class RoleField(forms.ChoiceField):
    def __init__(self) -> None:
        super().__init__(
            choices=[(REVIEWERS, "Reviewer"), (LEADS, "Lead")],
            widget=forms.RadioSelect(attrs={"class": "radiolist"}),
            help_text="A reviewer decides cases. A lead also reopens them, erases pictures, makes data sets, "
            "activates models, sees the statistics, and manages the accounts.",
        )


class AccountForm(AccountModelForm):
    """The fields of an account that a lead may change. `changed_by` is that lead."""

    changed_by: User
    role = RoleField()

    class Meta:
        model = User
        fields = ("first_name", "last_name", "email", "is_active")
        help_texts: ClassVar = {
            "username": "Can't be changed: past decisions refer to it.",
            "is_active": "Inactive users can't log in. Deactivate instead of deleting, so that decisions keep their "
            "author.",
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial["role"] = accounts.role_of(self.instance)

    def clean(self) -> dict[str, Any]:
        if self.initial["role"] == LEADS:
            if self.cleaned_data.get("role") != LEADS and "role" in self.cleaned_data:
                self._add_error_if_forbidden("role", "You can't take the role from yourself. Ask another lead.")
            if self.instance.is_active and not self.cleaned_data.get("is_active"):
                self._add_error_if_forbidden("is_active", "You can't deactivate yourself. Ask another lead.")
        return self.cleaned_data

    def _add_error_if_forbidden(self, field: str, message_for_oneself: str) -> None:
        if accounts.is_last_lead(self.instance):
            self.add_error(field, "This is the last active lead. Make somebody else a lead first.")
        elif self.instance.pk == self.changed_by.pk:
            self.add_error(field, message_for_oneself)


class NewAccountForm(AccountCreationForm):
    """A new account for the review desk. `generated_password` is set if the lead chose no password."""

    generated_password = ""
    role = RoleField()

    class Meta(UserCreationForm.Meta):
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial.setdefault("role", REVIEWERS)
        for name in ("password1", "password2"):
            self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        passwords = [self.cleaned_data.get(name) for name in ("password1", "password2")]
        if not any(passwords):
            self.generated_password = accounts.new_password()
            self.cleaned_data |= {"password1": self.generated_password, "password2": self.generated_password}
        elif not all(passwords):
            self.add_error("password2", "Enter the password in both fields, or leave both empty.")
        super().clean()
        return self.cleaned_data

    def save(self, commit: bool = True) -> User:
        self.instance.is_staff = True  # may log in to the admin
        return super().save(commit)


class NewPasswordForm(PasswordForm):
    """A new password for somebody else's account. It cannot be disabled: nobody could log in."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields.pop("usable_password", None)
        for name in ("password1", "password2"):
            self.fields[name].required = True
