"""Many cases at a glance, and one verdict for all that are chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from predictions.exceptions import RequestRejected
from review.decisions import (
    Seen,
    Verdict,
    bulk_undo,
    cases_decide,
    cases_reopen,
    outcome,
    require_not_too_many,
)
from review.facets import orders
from review.filters import Filters
from review.models import Case, Decision
from review.views.keys import sent_key

PER_PAGE = 60
REOPEN = "reopen"
PAGE = "p"
LABEL = "verdict_label"  # `label` is the name of a filter, and both are in one form

KINDS = {
    "accept": "Accept the label that people expect",
    "right": "The model was right",
    "corrected": "It is…",
    "unusable": "Unusable",
}


@dataclass(frozen=True)
class Plan:
    """What would happen to one case: `before` and `after` in words, or why nothing will."""

    case: Case
    after: str
    problem: str

    @property
    def token(self) -> str:
        """Case and what was seen of it, for the form that carries the plan out."""
        return f"{self.case.pk}:{self.case.decision_count}:{self.case.prediction_id}"


@never_cache
@require_safe
@permission_required("review.view_case", raise_exception=True)
def grid(request: HttpRequest) -> HttpResponse:
    return _grid_page(request, Filters.from_query(request.GET), request.GET.get(PAGE, ""))


@require_POST
@permission_required("review.decide_case", raise_exception=True)
def preview(request: HttpRequest) -> HttpResponse:
    """What a verdict would do to the chosen cases. Changes nothing."""
    chosen = [int(pk) for pk in request.POST.getlist("case") if pk.isdecimal() and len(pk) < 19]
    filters = Filters.from_query(request.POST)
    verdict = Verdict(request.POST.get("kind", ""), request.POST.get(LABEL, ""))
    if not chosen:
        messages.error(request, "Choose some cases first.")
        return _grid_page(request, filters, request.POST.get(PAGE, ""), verdict=verdict, status=HTTPStatus.BAD_REQUEST)
    return preview_page(request, chosen, verdict, filters)


def preview_page(
    request: HttpRequest, case_ids: Sequence[int], verdict: Verdict, filters: Filters | None = None
) -> HttpResponse:
    """The page that shows what will happen before it happens. Also for the actions of the list."""
    filters = filters or Filters.from_query(request.GET)
    page_number = request.POST.get(PAGE, "")
    _require_permission(request, verdict.kind)
    try:
        require_not_too_many(case_ids)
        plans = _plans(request.user, case_ids, verdict)  # type: ignore[arg-type] # the admin lets nobody else in
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
        # What was chosen, which may have taken a while, is chosen still.
        return _grid_page(request, filters, page_number, chosen=case_ids, verdict=verdict, status=rejection.status)
    return _page(
        request,
        "preview",
        "What will happen",
        filters=filters,
        page_number=page_number,
        back=_grid(filters, page_number),
        verdict=verdict,
        plans=[plan for plan in plans if not plan.problem],
        left_out=[plan for plan in plans if plan.problem],
    )


@require_POST
@permission_required("review.decide_case", raise_exception=True)
def decide(request: HttpRequest) -> HttpResponse:
    """Carries out what the preview has shown, as far as nothing has happened to the cases meanwhile."""
    verdict = Verdict(request.POST.get("kind", ""), request.POST.get(LABEL, ""))
    _require_permission(request, verdict.kind)
    try:
        seen = _seen(request.POST.getlist("case"))
        if verdict.kind == REOPEN:
            _reopen(request, seen)
        else:
            _decide(request, seen, verdict)
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return redirect(_grid(Filters.from_query(request.POST), request.POST.get(PAGE, "")))


@require_POST
@permission_required("review.decide_case", raise_exception=True)
def undo(request: HttpRequest, bulk: UUID) -> HttpResponse:
    try:
        undone = bulk_undo(bulk, request.user, sent_key(request))  # type: ignore[arg-type]
        messages.success(request, f"Undone: {_cases(len(undone))} open again.")
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    return redirect(_grid(Filters.from_query(request.POST), request.POST.get(PAGE, "")))


def _decide(request: HttpRequest, seen: Mapping[int, Seen], verdict: Verdict) -> None:
    """Raises `RequestRejected`."""
    result = cases_decide(
        seen=seen,
        reviewer=request.user,  # type: ignore[arg-type]
        verdict=verdict,
        key=sent_key(request),
    )
    if result.stored:
        message = format_html(
            '{} decided. <button class="link-button" form="undo" formaction="{}">Undo</button>',
            _cases(len(result.stored)),
            reverse("admin:review_case_grid_undo", args=[result.bulk]),
        )
        messages.success(request, message)
    _tell_refused(request, result.refused)


def _reopen(request: HttpRequest, case_ids: Collection[int]) -> None:
    """Raises `RequestRejected`."""
    result = cases_reopen(
        case_ids=case_ids,
        reviewer=request.user,  # type: ignore[arg-type]
        key=sent_key(request),
    )
    if result.stored:
        messages.success(request, f"{_cases(len(result.stored))} reopened.")
    _tell_refused(request, result.refused)


def _tell_refused(request: HttpRequest, refused: Sequence[tuple[int, RequestRejected]]) -> None:
    for case_id, rejection in refused[:5]:
        messages.warning(request, f"Case {case_id} was left as it is. {rejection.message}")
    if len(refused) > 5:
        messages.warning(request, f"{_cases(len(refused) - 5)} more were left as they are.")


def _plans(reviewer: User, case_ids: Sequence[int], verdict: Verdict) -> list[Plan]:
    cases = Case.objects.select_related("prediction", "claimed_by", "decided_by").in_bulk(list(case_ids))
    return [_plan(cases[pk], reviewer, verdict) for pk in dict.fromkeys(case_ids) if pk in cases]


def _plan(case: Case, reviewer: User, verdict: Verdict) -> Plan:
    try:
        if verdict.kind == REOPEN:
            if case.state == Case.State.OPEN:
                raise RequestRejected("not-decided", "The case is open already.")
            return Plan(case, "open again", "")
        kind, label = outcome(case, reviewer, verdict)
        after = f"{Decision.Kind(kind).label}: {label.replace('_', ' ')}" if label else str(Decision.Kind(kind).label)
        return Plan(case, after, "")
    except RequestRejected as rejection:
        if rejection.code in {"unknown-label", "label-needed", "unknown-verdict", "note-needed"}:
            raise  # true of all of them: there is nothing to look at
        return Plan(case, "", rejection.message)


def _seen(tokens: Sequence[str]) -> dict[int, Seen]:
    """What was seen of each case. Raises `RequestRejected` `malformed` for a form that the preview has not made."""
    seen = {}
    try:
        for token in tokens:
            case_id, count, prediction = token.split(":")
            seen[int(case_id)] = Seen(int(count), UUID(prediction))
    except ValueError as error:
        message = "The form does not say what you have seen. Nothing was stored; please choose the cases again."
        raise RequestRejected("malformed", message) from error
    return seen


def _require_permission(request: HttpRequest, kind: str) -> None:
    if kind == REOPEN and not request.user.has_perm("review.reopen_case"):
        raise PermissionDenied


def _cases(number: int) -> str:
    return "1 case" if number == 1 else f"{number} cases"


def _grid(filters: Filters, page_number: str = "") -> str:
    """The grid's address."""
    items = [*filters.items(), *([(PAGE, page_number)] if page_number.isdecimal() else [])]
    return reverse("admin:review_case_grid") + (f"?{urlencode(items)}" if items else "")


def _grid_page(
    request: HttpRequest,
    filters: Filters,
    page_number: str,
    *,
    chosen: Collection[int] = (),
    verdict: Verdict | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """`chosen` and `verdict`: what the form says already."""
    cases = filters.apply(Case.objects.all()).order_by(*filters.columns).select_related("claimed_by")
    return _page(
        request,
        "grid",
        "Grid of cases",
        status,
        filters=filters,
        grid_url=reverse("admin:review_case_grid"),  # the page may be the answer to a form of another address
        orders=orders(filters),
        page=Paginator(cases, PER_PAGE).get_page(page_number),
        now=timezone.now(),
        kinds=KINDS,
        chosen=frozenset(chosen),
        verdict=verdict or Verdict(Verdict.ACCEPT),
        can_decide=request.user.has_perm("review.decide_case"),
    )


def _page(request: HttpRequest, name: str, title: str, status: int = HTTPStatus.OK, **context: Any) -> HttpResponse:
    everything = {**admin.site.each_context(request), "opts": Case._meta, "title": title, **context}
    return render(request, f"admin/review/case/{name}.html", everything, status=status)
