"""django-rq's queue pages, for superusers only."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import django_rq.admin
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern
from django_rq.models import Dashboard
from rq.exceptions import NoSuchJobError

from mlsite.admin.accounts import is_superuser
from mlsite.admin.addresses import was_raised_by
from predictions import queues

admin.site.unregister(Dashboard)

# What django-rq's views raise for a queue, a job, a worker or a scheduler that does not exist.
NOT_FOUND = (IndexError, NoSuchJobError, ValueError, AssertionError, ImproperlyConfigured)
RAISED_BY = ("django_rq.", "rq.")


@admin.register(Dashboard)
class QueueAdmin(django_rq.admin.QueueAdmin):
    """Restricts django-rq's pages, on which all staff, reviewers included, could otherwise empty a queue."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        routes: list[URLPattern] = super().get_urls()  # type: ignore[no-untyped-call]
        for route in routes:
            route.callback = _for_superusers(route.callback)
        return routes


def _for_superusers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        # django-rq redirects anonymous users to the login.
        if request.user.is_authenticated and not is_superuser(request):
            raise PermissionDenied
        # Raises `redis.RedisError` if the queue cannot be reached. django-rq's own connections wait longer for it.
        queues.connection().ping()
        try:
            return view(request, *args, **options)
        except NOT_FOUND as error:
            if not was_raised_by(error, RAISED_BY):
                raise
            raise Http404 from error

    return guarded
