"""The reviewing desk: the queue of cases, and the views that a reviewer works in."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, path

from feedback.models import Case
from predictions.admin import ReadOnlyAdmin


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "predicted_label", "score", "expected_label", "weight", "state", "opened_at")

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.decide_case")

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.reopen_case")

    def get_urls(self) -> list[URLPattern]:
        """The desk's own views, each behind the admin's login and the permission that it names."""
        return [*self._own_urls(), *super().get_urls()]

    def _own_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        views: list[tuple[str, object, str]] = []
        return [path(route, guarded(view), name=f"feedback_case_{name}") for route, view, name in views]
