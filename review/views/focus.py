"""The focus view: one case at a time, and the forms on its page.

Every button belongs to a form whose response redirects to the next case (303). `review/focus.js` sends the same forms
but asks for JSON, because it has already loaded the next case. Every address carries the filters and the order of the
queue, so that "next" stays within them. Only POST claims a case: browsers and extensions load links in advance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from feedback.text import normalize_text
from predictions.exceptions import RequestRejected
from predictions.views.redirects import HttpResponseSeeOther
from predictions.visible_text import visible
from review import claims, undoing
from review.decisions import LABEL_MAX_LENGTH, DecisionRequest, SeenState, case_decide
from review.filters import Filters
from review.history import NOTE_MAX_LENGTH
from review.models import Case, Decision
from review.orders import ORDERS
from review.selectors import case_find, case_view, remaining_counts
from review.views.forms import require_same_reviewer, reviewer, row_ids, sent_key

SKIP = "skip"


@dataclass(frozen=True)
class FormResult:
    """What a form did: `message` for people, and the `decision` that it stored, if any."""

    case_id: int
    message: str
    decision: Decision | None = None


# --- Showing --------------------------------------------------------------------------------------


@require_http_methods(["GET"])
@permission_required("review.view_case", raise_exception=True)
def focus(request: HttpRequest, case_id: int) -> HttpResponse:
    return _page(request, _case_or_404(case_id))


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def claim(request: HttpRequest, case_id: int) -> HttpResponse:
    """Says who has claimed a case. POST claims it first, unless somebody else looks at it."""
    case = _case_or_404(case_id)
    if request.method == "POST":
        try:
            require_same_reviewer(request)
        except RequestRejected as rejection:
            return _rejected(request, rejection, case_id)
        if not claims.claim(case, reviewer(request)):
            case = _case_or_404(case_id)  # somebody may have decided or claimed it since it was read
    if not _wants_json(request):
        return HttpResponseSeeOther(_case_address(request, case_id))
    return JsonResponse(asdict(claims.claim_state(case, reviewer(request))))


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def next_case(request: HttpRequest) -> HttpResponse:
    """Claims the case that this reviewer should look at next, and redirects to it.

    `besides`: cases to leave out. `in_advance`: the page loads the case now and shows it later.
    """
    if request.method != "POST":
        return redirect(_address(request, reverse("admin:review_case_changelist")))
    try:
        require_same_reviewer(request)
    except RequestRejected as rejection:
        return _rejected(request, rejection, None)
    besides = row_ids(request.POST.getlist("besides"))
    return HttpResponseSeeOther(_next_address(request, besides, in_advance="in_advance" in request.POST))


@require_http_methods(["GET"])
@permission_required("review.decide_case", raise_exception=True)
def nothing_left(request: HttpRequest) -> HttpResponse:
    return _nothing_left(request)


@require_http_methods(["POST"])
@permission_required("review.decide_case", raise_exception=True)
def release(request: HttpRequest) -> HttpResponse:
    """Releases each `case` that the page has claimed in advance and the reviewer will not look at."""
    for pk in row_ids(request.POST.getlist("case")):
        claims.release(pk, reviewer(request), only_in_advance=True)
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _next_address(request: HttpRequest, besides: Collection[int], *, in_advance: bool = False) -> str:
    """Claims the next case. Returns the address of its page, or of the page that says that nothing is left."""
    filters = Filters.from_query(request.GET)
    case = claims.claim_next(reviewer(request), filters=filters, besides=besides, in_advance=in_advance)
    return _address(request, case.get_absolute_url() if case else reverse("admin:review_case_nothing_left"))


# --- Deciding -------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def decide(request: HttpRequest, case_id: int) -> HttpResponse:
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        result = _skip(request, case_id) if request.POST.get("verdict") == SKIP else _decide(request, case_id)
    except RequestRejected as rejection:
        return _rejected(request, rejection, case_id)
    if _wants_json(request):
        return _respond(request, result, _address(request, reverse("admin:review_case_next")))
    # A skipped case is not shown again at once, even if it is the last one.
    return _respond(request, result, _next_address(request, [case_id]))


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def undo(request: HttpRequest) -> HttpResponse:
    """Undoes the `decision` that the form names, or else the reviewer's last one, and redirects to its case.

    `page_made_at`: the reviewer's last decision is the last one before that time. The undo may be sent much later.
    """
    case_id = next(iter(row_ids([request.POST.get("case", "")])), None)
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        undone = _undo(request)
    except RequestRejected as rejection:
        return _rejected(request, rejection, case_id)
    row, others = undone[0], len(undone) - 1
    assert row.undoes is not None  # noqa: S101 - a constraint of the table
    message = f"Case {row.case_id}: undone ({_in_words(row.undoes)})."
    if others:
        message = f"Undone: case {row.case_id} and {others} more that were decided with it."
    claims.claim(row.case, reviewer(request))  # it is shown again
    return _respond(request, FormResult(row.case_id, message, row), _case_address(request, row.case_id))


@require_http_methods(["GET", "POST"])
@permission_required("review.reopen_case", raise_exception=True)
def reopen(request: HttpRequest, case_id: int) -> HttpResponse:
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        note = normalize_text(request.POST.get("note", ""))
        decision = undoing.case_reopen(case_id=case_id, reviewer=reviewer(request), note=note, key=sent_key(request))
    except RequestRejected as rejection:
        return _rejected(request, rejection, case_id)
    result = FormResult(case_id, f"Case {case_id}: reopened.", decision)
    return _respond(request, result, _case_address(request, case_id))


def _decide(request: HttpRequest, case_id: int) -> FormResult:
    """Raises `RequestRejected`."""
    label, note = _typed(request)
    # A label button sends a label and no verdict.
    kind = request.POST.get("verdict", "")
    # A label that comes with a verdict was typed, so it may be a new one.
    verdict = DecisionRequest(kind or Decision.Kind.CORRECTED, label, note, may_propose=bool(kind))
    decision = case_decide(
        case_id=case_id, reviewer=reviewer(request), verdict=verdict, seen=_seen(request), key=sent_key(request)
    )
    return FormResult(case_id, f"Case {case_id}: {_in_words(decision)}.", decision)


def _skip(request: HttpRequest, case_id: int) -> FormResult:
    """Raises `RequestRejected`."""
    claims.case_skip(
        case_id=case_id,
        reviewer=reviewer(request),
        decision_count=_seen(request).decision_count,
        key=sent_key(request),
    )
    return FormResult(case_id, f"Case {case_id}: skipped. You'll see it again at the end.")


def _undo(request: HttpRequest) -> list[Decision]:
    """Raises `RequestRejected`."""
    named = request.POST.get("decision", "")
    if not named:
        return undoing.undo_last(reviewer(request), sent_key(request), until=_page_made_at(request))
    decision_id = next(iter(row_ids([named])), 0)
    return [undoing.decision_undo(decision_id=decision_id, reviewer=reviewer(request), key=sent_key(request))]


def _seen(request: HttpRequest) -> SeenState:
    try:
        return SeenState(int(request.POST["seen_decisions"]), UUID(request.POST["seen_prediction"]))
    except (KeyError, ValueError) as error:
        message = "The form does not say what you saw. Please reload the page."
        raise RequestRejected("malformed", message) from error


def _page_made_at(request: HttpRequest) -> datetime | None:
    """Returns when the page of a form was made, if the form says so. Raises `RequestRejected` `malformed`."""
    text = request.POST.get("page_made_at")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise RequestRejected("malformed", "The form has no valid time. Please reload the page.") from error


def _typed(request: HttpRequest) -> tuple[str, str]:
    """Returns the label and the note of a form, normalized. A label is one line with single spaces."""
    label, note = (normalize_text(request.POST.get(name, "")) for name in ("label", "note"))
    return " ".join(label.split()), note.strip()


# --- Responding ------------------------------------------------------------------------------------


def _respond(request: HttpRequest, result: FormResult, address: str) -> HttpResponse:
    if not _wants_json(request):
        messages.success(request, result.message)
        return HttpResponseSeeOther(address)
    decision = result.decision.pk if result.decision else None
    left = claims.left_count(Filters.from_query(request.GET))
    answer = {"case": result.case_id, "said": result.message, "decision": decision, "address": address, "left": left}
    return JsonResponse(answer)


def _rejected(request: HttpRequest, rejection: RequestRejected, case_id: int | None) -> HttpResponse:
    """Shows the case as it is now, the reason, and what the reviewer typed."""
    if _wants_json(request):
        return JsonResponse({"code": rejection.code, "message": rejection.message}, status=rejection.status)
    case = case_find(case_id) if case_id is not None else None
    if case is None:
        messages.error(request, rejection.message)
        return _nothing_left(request, rejection.status)
    return _page(request, case, rejection)


def _after_login(request: HttpRequest, case_id: int | None) -> HttpResponse:
    """Handles the GET request that follows a login: the login page redirects here, without the form's data."""
    messages.warning(request, "You had been logged out, so nothing was saved. Please send it again.")
    return redirect(_case_address(request, case_id) if case_id else reverse("admin:review_case_changelist"))


def _page(request: HttpRequest, case: Case, rejection: RequestRejected | None = None) -> HttpResponse:
    view = case_view(case, reviewer(request))
    label, note = _typed(request) if rejection else ("", "")
    return _render(
        request,
        "focus",
        rejection.status if rejection else HTTPStatus.OK,
        title=f"Case {case.pk}",
        view=view,
        case=case,
        state=case.get_verdict_display() or case.get_state_display(),
        rejection=rejection,
        # A label button sends no verdict, so a label with a verdict was typed.
        typed_label=label if request.POST.get("verdict") else "",
        typed_note=note,
        claim=claims.claim_state(case, reviewer(request)),
        can_decide=view.can_decide,
        left=claims.left_count(Filters.from_query(request.GET)),
        left_max=claims.LEFT_MAX,
        note_max_length=NOTE_MAX_LENGTH,
        label_max_length=LABEL_MAX_LENGTH,
    )


def _nothing_left(request: HttpRequest, status: int = HTTPStatus.OK) -> HttpResponse:
    within = claims.undecided_cases(Filters.from_query(request.GET))
    has_more = within.free(timezone.now()).not_skipped_by(reviewer(request)).exists()
    title = "There is more to review" if has_more else "Nothing left to review"  # the page may be loaded again later
    counts = remaining_counts(reviewer(request))
    return _render(request, "nothing_left", status, title=title, has_more=has_more, counts=counts)


def _render(request: HttpRequest, name: str, status: int, **context: Any) -> HttpResponse:
    filters = Filters.from_query(request.GET)
    everything = {
        **admin.site.each_context(request),
        "opts": Case._meta,
        "filters": filters,
        "order": ORDERS[filters.order_key],
        "query": filters.query_string,
        "may_decide": request.user.has_perm("review.decide_case"),
        "page_made_at": timezone.now().isoformat(),
        **context,
    }
    return render(request, f"admin/review/case/{name}.html", everything, status=status)


def _in_words(decision: Decision) -> str:
    words = str(decision.get_kind_display()).lower()
    if decision.kind == Decision.Kind.CORRECTED:
        return f"{words} to “{decision.label.replace('_', ' ')}”"
    if decision.kind == Decision.Kind.NO_LABEL:
        return f"{words}, “{visible(decision.proposed_label)}” is proposed"
    return words


def _case_or_404(case_id: int) -> Case:
    case = case_find(case_id)
    if case is None:
        raise Http404("There is no such case.")
    return case


def _address(request: HttpRequest, path: str) -> str:
    query = Filters.from_query(request.GET).query_string
    return f"{path}?{query}" if query else path


def _case_address(request: HttpRequest, case_id: int) -> str:
    return _address(request, reverse("admin:review_case_focus", args=[case_id]))


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")
