"""The grid: many cases on one page, and one verdict for all that are selected."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from predictions.exceptions import RequestRejected
from predictions.views.redirects import HttpResponseSeeOther
from review.bulk import REOPEN, BulkResult, cases_decide, cases_plan, cases_reopen
from review.decisions import DecisionRequest, SeenState
from review.expectations import expectations_of
from review.facets import orders
from review.filters import FILTERS, Filters
from review.models import Case
from review.undoing import bulk_undo
from review.views.forms import reviewer, row_ids, sent_key

PER_PAGE = 60
PAGE_FIELD = "p"
LABEL_FIELD = "verdict_label"  # `label` is a filter in the same form
MAX_WARNINGS = 5

KINDS = {
    "accept": "Accept the label that people expect",
    "right": "The model was right",
    "corrected": "It is…",
    "unusable": "Unusable",
}

# The filters that the grid shows as text fields.
LABEL_FILTERS = [entry for entry in FILTERS.values() if entry.takes_label and not entry.of_decided]


@never_cache
@require_safe
@permission_required("review.view_case", raise_exception=True)
def grid(request: HttpRequest) -> HttpResponse:
    return _grid_page(request, Filters.from_query(request.GET), request.GET.get(PAGE_FIELD, ""))


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def preview(request: HttpRequest) -> HttpResponse:
    """Shows what a verdict would do to the selected cases. Changes nothing."""
    if request.method != "POST":
        return _after_login(request)
    chosen = row_ids(request.POST.getlist("case"))
    filters = Filters.from_query(request.POST)
    verdict = DecisionRequest(request.POST.get("kind", ""), request.POST.get(LABEL_FIELD, ""))
    if not chosen:
        messages.error(request, "Select some cases first.")
        return _grid_page(
            request, filters, request.POST.get(PAGE_FIELD, ""), verdict=verdict, status=HTTPStatus.BAD_REQUEST
        )
    return preview_page(request, chosen, verdict, filters)


def preview_page(
    request: HttpRequest, case_ids: Sequence[int], verdict: DecisionRequest, filters: Filters | None = None
) -> HttpResponse:
    """Shows what a verdict or a reopening would do to these cases. The actions of the list use it, too."""
    filters = filters or Filters.from_query(request.GET)
    page_number = request.POST.get(PAGE_FIELD, "")
    _require_permission(request, verdict.kind)
    try:
        plans = cases_plan(case_ids=case_ids, reviewer=reviewer(request), verdict=verdict)
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
        # Keep the selection: making it may have taken a while.
        return _grid_page(request, filters, page_number, chosen=case_ids, verdict=verdict, status=rejection.status)
    return _page(
        request,
        "preview",
        "Preview",
        filters=filters,
        page_number=page_number,
        back=_address("grid", filters, page_number),
        decide_url=_address("grid_decide", filters, page_number),
        verdict=verdict,
        plans=[plan for plan in plans if not plan.problem],
        left_out=[plan for plan in plans if plan.problem],
    )


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def decide(request: HttpRequest) -> HttpResponse:
    """Carries out what the preview showed, except on cases that have changed since."""
    if request.method != "POST":
        return _after_login(request)
    verdict = DecisionRequest(request.POST.get("kind", ""), request.POST.get(LABEL_FIELD, ""))
    filters, page_number = Filters.from_query(request.POST), request.POST.get(PAGE_FIELD, "")
    _require_permission(request, verdict.kind)
    try:
        seen = _seen(request.POST.getlist("case"))
        if verdict.kind == REOPEN:
            result = cases_reopen(case_ids=seen, reviewer=reviewer(request), key=sent_key(request))
            done = f"{_cases(len(result.stored))} reopened."
        else:
            result = cases_decide(seen=seen, reviewer=reviewer(request), verdict=verdict, key=sent_key(request))
            done = format_html(
                '{} decided. <button class="link-button" form="undo" formaction="{}">Undo</button>',
                _cases(len(result.stored)),
                _address("grid_undo", filters, page_number, result.bulk),
            )
        _report(request, result, done)
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return redirect(_address("grid", filters, page_number))


@require_http_methods(["GET", "HEAD", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def undo(request: HttpRequest, bulk: UUID) -> HttpResponse:
    if request.method != "POST":
        return _after_login(request)
    try:
        undone = bulk_undo(bulk, reviewer(request), sent_key(request))
        messages.success(request, f"Undone: {_cases(len(undone))} open again.")
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return redirect(_address("grid", Filters.from_query(request.POST), request.POST.get(PAGE_FIELD, "")))


def _after_login(request: HttpRequest) -> HttpResponse:
    """Handles the GET request that follows a login: the login page redirects here, without the form's data."""
    messages.warning(request, "You had been logged out, so nothing was saved. Please select the cases again.")
    return HttpResponseSeeOther(_address("grid", Filters.from_query(request.GET), request.GET.get(PAGE_FIELD, "")))


def _report(request: HttpRequest, result: BulkResult, done: str) -> None:
    if result.stored:
        messages.success(request, done)
    for case_id, rejection in result.rejected[:MAX_WARNINGS]:
        messages.warning(request, f"Case {case_id} is unchanged. {rejection.message}")
    if len(result.rejected) > MAX_WARNINGS:
        messages.warning(request, f"{_cases(len(result.rejected) - MAX_WARNINGS)} more are unchanged.")


def _seen(tokens: Sequence[str]) -> dict[int, SeenState | None]:
    """Reads the tokens of a preview. Raises `RequestRejected` `malformed`."""
    seen: dict[int, SeenState | None] = {}
    try:
        for token in tokens:
            case_id, count, prediction = token.split(":")
            seen[int(case_id)] = SeenState(int(count), UUID(prediction))
    except ValueError as error:
        message = "The form does not say what you saw. Nothing was saved; please select the cases again."
        raise RequestRejected("malformed", message) from error
    return seen


def _require_permission(request: HttpRequest, kind: str) -> None:
    if kind == REOPEN and not request.user.has_perm("review.reopen_case"):
        raise PermissionDenied


def _cases(number: int) -> str:
    return "1 case" if number == 1 else f"{number} cases"


def _address(name: str, filters: Filters, page_number: str, *arguments: object) -> str:
    """Returns the address of a view of the grid. A form's address names its page, too: a login redirects there."""
    items = [*filters.items(), *([(PAGE_FIELD, page_number)] if page_number.isdecimal() else [])]
    return reverse(f"admin:review_case_{name}", args=arguments) + (f"?{urlencode(items)}" if items else "")


def _grid_page(
    request: HttpRequest,
    filters: Filters,
    page_number: str,
    *,
    chosen: Collection[int] = (),
    verdict: DecisionRequest | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """Shows the grid; its form is filled in with the `chosen` cases and the `verdict`."""
    cases = filters.apply(Case.objects.all()).order_by(*filters.columns).select_related("claimed_by")
    page = Paginator(cases, PER_PAGE).get_page(page_number)
    shown = list(page)
    expectations = expectations_of(shown)
    return _page(
        request,
        "grid",
        "Grid of cases",
        status,
        filters=filters,
        other_filters=[item for item in filters.items() if item[0] not in {entry.name for entry in LABEL_FILTERS}],
        label_fields=[(entry, filters.values.get(entry.name, "")) for entry in LABEL_FILTERS],
        grid_url=reverse("admin:review_case_grid"),  # a rejected form shows the grid at its own address
        orders=orders(filters),
        page=page,
        cases=[(case, expectations[case.pk]) for case in shown],
        preview_url=_address("grid_preview", filters, str(page.number)),
        now=timezone.now(),
        kinds=KINDS,
        chosen=frozenset(chosen),
        verdict=verdict or DecisionRequest(DecisionRequest.ACCEPT),
        can_decide=request.user.has_perm("review.decide_case"),
    )


def _page(request: HttpRequest, name: str, title: str, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
    everything = {**admin.site.each_context(request), "opts": Case._meta, "title": title, **context}
    return render(request, f"admin/review/case/{name}.html", everything, status=status)
