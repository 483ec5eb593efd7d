"""Addresses of the admin that hold values which no row can have."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.views import shortcut
from django.core.exceptions import ValidationError
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404

from mlsite import errors

logger = logging.getLogger(__name__)

# What a value raises that is no number, date or UUID, a number beyond the database's limits, or a text with NUL.
UNUSABLE = (ValueError, ValidationError, OverflowError, DataError)

# The packages that raise it: Django checks no value before it prepares a query with it, or a list's links to dates.
RAISED_BY = ("django.db.", "django.contrib.admin.")


class UnusableValueMiddleware:
    """Answers requests to the admin with values that Django passes to the database unchecked.

    A list without its filters, as Django does for filters that it checks; otherwise 404, or 400 for a form.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not request.path.startswith("/admin/") or not _is_unusable_value(exception):
            return None
        logger.warning("The request has a value that cannot be used: %s", request.path, exc_info=exception)
        if request.method not in {"GET", "HEAD"}:
            return errors.bad_request(request, exception)
        if request.GET and ERROR_FLAG not in request.GET:
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        return errors.page_not_found(request, exception)


def _is_unusable_value(exception: Exception) -> bool:
    """Whether a value that cannot be used raised the exception. A view or a template that raises one has a defect."""
    return isinstance(exception, DataError) or (isinstance(exception, UNUSABLE) and was_raised_by(exception, RAISED_BY))


def was_raised_by(exception: Exception, packages: tuple[str, ...]) -> bool:
    """Whether code of one of these packages, whose names end with a dot, raised the exception."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _line in traceback.walk_tb(exception.__traceback__)]
    return bool(modules) and modules[-1].startswith(packages)


def view_on_site(request: HttpRequest, content_type_id: str, object_id: str) -> Any:
    """Redirects to the page of an object. 404 if objects of its kind have none: Django would read the object first."""
    model = get_object_or_404(ContentType, pk=content_type_id).model_class()
    if not hasattr(model, "get_absolute_url"):
        raise Http404
    return shortcut(request, content_type_id, object_id)
