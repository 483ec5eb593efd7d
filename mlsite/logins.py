"""Bounds and logs logins.

django-axes locks a user name for the clients that have failed with it too often. The rest is here: how many logins may
be checked at once, the page for a locked user name, and the log of failures.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.validators import MaxLengthValidator
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from mlsite import errors
from predictions.admission.client_slots import ClientSlots
from predictions.client_address import client_address, client_network
from predictions.exceptions import RequestRejected

logger = logging.getLogger(__name__)

# Passwords are hashed one after the other, and each login holds a thread of the web server meanwhile.
LOGINS_AT_ONCE = 12
LOGINS_AT_ONCE_PER_CLIENT = 3
_RETRY_AFTER = 5


login_slots = ClientSlots()


class BoundedLoginForm(AdminAuthenticationForm):
    """The login form of the admin. It checks a limited number of passwords at once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Django limits the length in the browser only. django-axes stores the name.
        longest = User._meta.get_field("username").max_length
        self.fields["username"].validators.append(MaxLengthValidator(longest))

    def clean(self) -> dict[str, Any]:
        """Raises `RequestRejected` `too-many-logins` if as many logins are being checked."""
        assert self.request is not None  # noqa: S101 - the login view passes it
        client = client_network(self.request)
        with login_slots.acquire(client, per_client=LOGINS_AT_ONCE_PER_CLIENT, in_total=LOGINS_AT_ONCE) as acquired:
            if not acquired:
                message = f"Too many people are logging in. Please try again in {_RETRY_AFTER} s."
                raise RequestRejected("too-many-logins", message, status=429, retry_after=_RETRY_AFTER)
            return super().clean()


def locked_address(request: HttpRequest) -> str | None:
    """Returns the address for which django-axes counts failures and locks user names: that of the client's network."""
    return client_network(request).partition("/")[0] or None


def locked_out(request: HttpRequest, _response: HttpResponse, _credentials: dict[str, Any] | None) -> HttpResponse:
    """Returns the page for a user name that is locked. It says the same for a name that does not exist."""
    seconds = math.ceil(settings.AXES_COOLOFF_TIME.total_seconds())
    message = f"Too many logins with this user name have failed. Please try again in {seconds // 60} minutes."
    return errors.rejection_response(request, RequestRejected("login-locked", message, status=429, retry_after=seconds))


@receiver(user_login_failed)
def log_failure(credentials: dict[str, Any], request: HttpRequest | None = None, **_: object) -> None:
    logger.warning("Login failed: user name %r, %s.", credentials.get("username"), _from(request))


@receiver(user_locked_out)
def log_lock(username: str | None, request: HttpRequest, **_: object) -> None:
    logger.warning("Login is locked: user name %r, %s.", username, _from(request))


def _from(request: HttpRequest | None) -> str:
    address = client_address(request) if request else ""
    return f"from {address}" if address else "from an unknown address"
