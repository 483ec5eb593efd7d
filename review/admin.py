"""The reviewing desk in the admin: the list of cases, its bulk actions, and the addresses of the desk's own views."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property

from predictions.admin import ReadOnlyAdmin, erase_redirect
from predictions.visible_text import visible
from review.bulk import MAX_CASES
from review.counting import state_counts
from review.decisions import DecisionRequest
from review.expectations import Expectations, expectations_of
from review.facets import facets, orders, states
from review.filters import FILTERS, Filters
from review.models import Case
from review.selectors import cases_found
from review.statistics import views as statistics
from review.views import focus, grid
from review.views.forms import row_ids


class CaseList(ChangeList):
    """Django's list with the filters and the orders of the desk."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Case]:
        self.filters = Filters.from_query(request.GET)
        self.root_queryset = self.filters.apply(Case.objects.all())
        return super().get_queryset(request, exclude_parameters)

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        filters_of_desk = {"state", "order", *FILTERS}
        return {
            name: value for name, value in super().get_filters_params(params).items() if name not in filters_of_desk
        }

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self.filters.columns)

    def url_for_result(self, result: Any) -> str:
        query = self.filters.query_string
        return f"{result.get_absolute_url()}{'?' if query else ''}{query}"

    # for the template

    @cached_property
    def rows(self) -> list[CaseRow]:
        now = timezone.now()
        expectations = expectations_of(self.result_list)
        return [CaseRow(case, self.url_for_result(case), now, expectations[case.pk]) for case in self.result_list]

    @cached_property
    def orders(self) -> Any:
        return orders(self.filters)

    @cached_property
    def states(self) -> Any:
        return states(self.filters)

    @cached_property
    def facets(self) -> Any:
        return facets(self.filters)


class KnownCountPaginator(Paginator):  # type: ignore[type-arg] # generic in its type stubs only
    """A paginator that is told the number of cases."""

    def __init__(self, cases: QuerySet[Case], per_page: int, count: int) -> None:
        super().__init__(cases, per_page)
        self.__dict__["count"] = count  # the cached property `count` stores its value here


@dataclass(frozen=True)
class CaseRow:
    """One row of the list. Django's own rows take three times as long to render."""

    case: Case
    url: str
    now: datetime
    expectations: Expectations

    @property
    def thumbnail(self) -> str:
        return reverse("predictions:thumbnail", args=[self.case.prediction_id])

    @property
    def people(self) -> str:
        weight, wrong = self.case.weight, self.case.wrong_count
        return f"{wrong} of {weight} say{'s' * (weight == 1)} wrong" if wrong else str(weight or "–")

    @property
    def state(self) -> str:
        case, state = self.case, self.case.state_at(self.now)
        if case.named and case.verdict != Case.Outcome.RIGHT:
            return f"{state}: {visible(case.named).replace('_', ' ')}"
        return f"{state} by {case.claimed_by}" if state == "Claimed" else state

    @property
    def age(self) -> str:
        minutes = (self.now - self.case.opened_at).total_seconds() / 60
        if minutes < 60:
            return f"{minutes:.0f} min"
        return f"{minutes / 60:.0f} h" if minutes < 1440 else f"{minutes / 1440:.0f} d"


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = ("__str__",)  # the template has the columns: see `CaseRow`
    search_fields = ("predicted_label", "expected_label", "label", "image__sha256", "comment")
    search_help_text = "A label, words of a comment or what people expect, or the beginning of the picture's SHA-256"
    list_per_page = 50
    list_select_related = ("claimed_by",)
    show_full_result_count = False
    preserve_filters = False  # the addresses have them already
    actions = ("confirm", "accept", "unusable", "reopen", "erase")

    class Media:
        css: ClassVar = {"all": ["css/combobox.css", "review/queue.css"]}

    # --- Permissions ------------------------------------------------------------------------------

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("review.decide_case")

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("review.reopen_case")

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("predictions.erase_image")

    # --- The queue --------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return CaseList

    def get_paginator(
        self, request: HttpRequest, queryset: Any, per_page: int, *arguments: Any, **options: Any
    ) -> Paginator[Any]:
        filters = Filters.from_query(request.GET)
        if not filters.values and not request.GET.get(SEARCH_VAR):
            number = state_counts()[filters.state or "open"]
            return KnownCountPaginator(queryset, per_page, number)
        return super().get_paginator(request, queryset, per_page, *arguments, **options)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Case], search_term: str
    ) -> tuple[QuerySet[Case], bool]:
        return cases_found(queryset, search_term), False

    # --- Bulk actions -----------------------------------------------------------------------------

    @admin.action(description="Confirm: the model was right…", permissions=["decide"])
    def confirm(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse | None:
        return self._preview(request, cases, "right")

    @admin.action(description="Accept the label that people expect…", permissions=["decide"])
    def accept(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse | None:
        return self._preview(request, cases, "accept")

    @admin.action(description="Mark as unusable…", permissions=["decide"])
    def unusable(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse | None:
        return self._preview(request, cases, "unusable")

    @admin.action(description="Reopen…", permissions=["reopen"])
    def reopen(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse | None:
        return self._preview(request, cases, "reopen")

    @admin.action(description="Erase the picture…", permissions=["erase"])
    def erase(self, request: HttpRequest, cases: QuerySet[Case]) -> HttpResponse | None:
        return erase_redirect(request, cases.values_list("image", flat=True))

    def _preview(self, request: HttpRequest, cases: QuerySet[Case], kind: str) -> HttpResponse | None:
        """Shows what the action would do; the reviewer confirms it there."""
        chosen = list(cases.values_list("pk", flat=True)[: MAX_CASES + 1])
        if len(chosen) > MAX_CASES:
            messages.error(request, f"At most {MAX_CASES} cases at once. Narrow the list down first.")
            return None
        return grid.preview_page(request, chosen, DecisionRequest(kind))

    # --- The desk's own views ---------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, *arguments: Any, **options: Any) -> HttpResponse:
        """Redirects the admin's links to the focus view."""
        if not row_ids([object_id]):
            return super().change_view(request, object_id, *arguments, **options)
        return redirect(reverse("admin:review_case_focus", args=[object_id]))

    def get_urls(self) -> list[URLPattern]:
        """Adds the desk's own views. The admin requires a login for them, and each view checks its permission."""
        return [*self._own_urls(), *super().get_urls()]

    def _own_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        views: list[tuple[str, Any, str]] = [
            ("next/", focus.next_case, "next"),
            ("nothing-left/", focus.nothing_left, "nothing_left"),
            ("undo/", focus.undo, "undo"),
            ("release/", focus.release, "release"),
            ("<int:case_id>/focus/", focus.focus, "focus"),
            ("<int:case_id>/claim/", focus.claim, "claim"),
            ("<int:case_id>/decide/", focus.decide, "decide"),
            ("<int:case_id>/reopen/", focus.reopen, "reopen"),
            ("grid/", grid.grid, "grid"),
            ("grid/preview/", grid.preview, "grid_preview"),
            ("grid/decide/", grid.decide, "grid_decide"),
            ("grid/<uuid:bulk>/undo/", grid.undo, "grid_undo"),
            ("statistics/", statistics.statistics, "statistics"),
            ("statistics/<slug:name>.csv", statistics.table, "statistics_csv"),
        ]
        return [path(route, guarded(view), name=f"review_case_{name}") for route, view, name in views]
