"""One case after the other: the page that a reviewer works on, and what its buttons do.

Every button is a form that posts, and leads on to the next case with 303. `review/focus.js` sends the same forms, asks
for JSON, and has loaded the next case already. The filters and the order of the queue stand in every address, so that
"next" stays within them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from feedback.text import normalize_text
from predictions.exceptions import RequestRejected
from predictions.views import HttpResponseSeeOther
from review import claims, decisions
from review.decisions import LABEL_MAX_LENGTH, NOTE_MAX_LENGTH, Seen, Verdict
from review.filters import Filters
from review.models import Case, Decision
from review.orders import ORDERS
from review.selectors import case_find, case_view
from review.views.keys import sent_key

SKIP = "skip"


@dataclass(frozen=True)
class Done:
    """What came of a form: `said` for people; `decision` is its row, if it made one."""

    case_id: int
    said: str
    decision: Decision | None = None


# --- Looking --------------------------------------------------------------------------------------


@require_http_methods(["GET"])
@permission_required("review.view_case", raise_exception=True)
def focus(request: HttpRequest, case_id: int) -> HttpResponse:
    """One case. Who may decide it claims it by looking at it, unless somebody else has."""
    case = _case_or_404(case_id)
    if _may_decide(request) and not _is_prefetch(request):
        case = _claimed(case, _user(request))
    return _page(request, case)


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def next_case(request: HttpRequest) -> HttpResponse:
    """Claims the case that this reviewer should look at next, and sends him there. `besides`: cases to leave out."""
    if _is_prefetch(request):
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)  # nobody looks at it yet
    filters = Filters.from_query(request.GET)
    besides = [*request.GET.getlist("besides"), *request.POST.getlist("besides")]
    case = claims.claim_next(
        _user(request),
        order=filters.order_key,
        state=Case.State.FLAGGED if filters.state == Case.State.FLAGGED else Case.State.OPEN,
        # The state is said above, and what is undecided has no label yet.
        within=replace(filters, state="all", label="").apply(Case.objects.all()),
        besides=_keys(besides),
    )
    if case is None:
        return _nothing_left(request, filters)
    return HttpResponseSeeOther(_address(request, case.get_absolute_url()))


@require_http_methods(["POST"])
@permission_required("review.decide_case", raise_exception=True)
def release(request: HttpRequest) -> HttpResponse:
    """Gives back the `case`s that were claimed beforehand, and that this reviewer will not look at after all."""
    for pk in _keys(request.POST.getlist("case")):
        claims.release(pk, _user(request))
    return HttpResponse(status=HTTPStatus.NO_CONTENT)


def _keys(texts: Iterable[str]) -> list[int]:
    """Those that can be the key of a row."""
    return [int(text) for text in texts if text.isascii() and text.isdecimal() and len(text) < 19]


def _claimed(case: Case, reviewer: User) -> Case:
    """The case, kept for the reviewer if it can be. Looking again soon after is no reason to write."""
    soon = timezone.now() + timedelta(minutes=settings.REVIEW_CLAIM_MINUTES / 2)
    if case.state == Case.State.DECIDED or (case.claimed_by_id == reviewer.pk and case.is_claimed_at(soon)):
        return case
    if not claims.claim(case, reviewer) and not case.is_claimed_at(timezone.now()):
        return _case_or_404(case.pk)  # somebody else has taken it since it was read
    return case


def _is_prefetch(request: HttpRequest) -> bool:
    """Whether a browser only thinks that somebody might want this page."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


# --- Deciding -------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def decide(request: HttpRequest, case_id: int) -> HttpResponse:
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        done = _skip(request, case_id) if request.POST.get("verdict") == SKIP else _decide(request, case_id)
    except RequestRejected as rejection:
        return _refused(request, rejection, case_id)
    address = _address(request, reverse("admin:review_case_next"))
    if done.decision is None:  # not the very case that was skipped, if it is the last one
        address += f"{'&' if '?' in address else '?'}besides={case_id}"
    return _done(request, done, address)


@require_http_methods(["GET", "POST"])
@permission_required("review.decide_case", raise_exception=True)
def undo(request: HttpRequest) -> HttpResponse:
    """Takes back the `decision` that is named, or else the last one of this reviewer, and goes back to its case."""
    case_id = next(iter(_keys([request.POST.get("case", "")])), None)
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        undone = _undo(_user(request), request.POST.get("decision", ""), sent_key(request))
    except RequestRejected as rejection:
        return _refused(request, rejection, case_id)
    what = undone.undoes
    assert what is not None  # noqa: S101 - a constraint of the table
    said = f"Case {undone.case_id}: undone ({_in_words(what)})."
    if what.bulk and not request.POST.get("decision"):
        number = Decision.objects.filter(undoes__bulk=what.bulk).count()
        said = f"Case {undone.case_id} and all others that were decided at once, {number} together, are undone."
    return _done(request, Done(undone.case_id, said, undone), _case_address(request, undone.case_id))


@require_http_methods(["GET", "POST"])
@permission_required("review.reopen_case", raise_exception=True)
def reopen(request: HttpRequest, case_id: int) -> HttpResponse:
    if request.method != "POST":
        return _after_login(request, case_id)
    try:
        note = normalize_text(request.POST.get("note", ""))
        decision = decisions.case_reopen(case_id=case_id, reviewer=_user(request), note=note, key=sent_key(request))
    except RequestRejected as rejection:
        return _refused(request, rejection, case_id)
    done = Done(case_id, f"Case {case_id}: reopened.", decision)
    return _done(request, done, _case_address(request, case_id))


def _decide(request: HttpRequest, case_id: int) -> Done:
    """Raises `RequestRejected`."""
    label, note = _typed(request)
    # A button that names a label says nothing else.
    verdict = Verdict(request.POST.get("verdict") or Decision.Kind.CORRECTED, label, note)
    decision = decisions.case_decide(
        case_id=case_id, reviewer=_user(request), verdict=verdict, seen=_seen(request), key=sent_key(request)
    )
    return Done(case_id, f"Case {case_id}: {_in_words(decision)}.", decision)


def _skip(request: HttpRequest, case_id: int) -> Done:
    """Raises `RequestRejected`."""
    claims.case_skip(
        case_id=case_id,
        reviewer=_user(request),
        decision_count=_seen(request).decision_count,
        key=sent_key(request),
    )
    return Done(case_id, f"Case {case_id}: skipped. It comes back to you last of all.")


def _undo(reviewer: User, decision_id: str, key: UUID) -> Decision:
    """Raises `RequestRejected`."""
    if not decision_id:
        return decisions.undo_last(reviewer, key)
    decision = Decision.objects.filter(pk__in=_keys([decision_id])).first()
    if decision is None:
        raise RequestRejected("nothing-to-undo", "There is no such decision.", status=404)
    return decisions.decision_undo(decision=decision, reviewer=reviewer, key=key)


def _seen(request: HttpRequest) -> Seen:
    try:
        return Seen(int(request.POST["seen_decisions"]), UUID(request.POST["seen_prediction"]))
    except (KeyError, ValueError) as error:
        message = "The form does not say what you have seen. Please load the page again."
        raise RequestRejected("malformed", message) from error


def _typed(request: HttpRequest) -> tuple[str, str]:
    """The label and the note of a form; the note with line ends as the database keeps them."""
    return normalize_text(request.POST.get("label", "")), normalize_text(request.POST.get("note", "")).strip()


# --- Answering ------------------------------------------------------------------------------------


def _done(request: HttpRequest, done: Done, address: str) -> HttpResponse:
    if not _wants_json(request):
        messages.success(request, done.said)
        return HttpResponseSeeOther(address)
    decision = done.decision.pk if done.decision else None
    return JsonResponse({"case": done.case_id, "said": done.said, "decision": decision, "address": address})


def _refused(request: HttpRequest, rejection: RequestRejected, case_id: int | None) -> HttpResponse:
    """The case as it is now, why nothing was stored, and what was typed."""
    if _wants_json(request):
        return JsonResponse({"code": rejection.code, "message": rejection.message}, status=rejection.status)
    case = case_find(case_id) if case_id is not None else None
    if case is None:
        messages.error(request, rejection.message)
        return _nothing_left(request, Filters.from_query(request.GET), status=rejection.status)
    return _page(request, case, rejection)


def _after_login(request: HttpRequest, case_id: int | None) -> HttpResponse:
    """Whoever was logged out when he sent a form comes back here with GET, without the form."""
    messages.warning(request, "You had been logged out: what you sent was not stored. Please send it again.")
    return redirect(_case_address(request, case_id) if case_id else reverse("admin:review_case_changelist"))


def _page(request: HttpRequest, case: Case, rejection: RequestRejected | None = None) -> HttpResponse:
    view = case_view(case)
    is_others = view.claimed_by_other(_user(request))
    is_decided = case.state == Case.State.DECIDED
    standing = view.standing
    label, note = _typed(request) if rejection else ("", "")
    return _render(
        request,
        "focus",
        rejection.status if rejection else HTTPStatus.OK,
        title=f"Case {case.pk}",
        view=view,
        case=case,
        state=case.get_verdict_display() or case.get_state_display(),
        refusal=rejection,
        # A button that names a label comes without a verdict: nobody has typed that.
        typed_label=label if request.POST.get("verdict") else "",
        typed_note=note,
        is_others=is_others,
        claim_seconds=max(0, int((case.claimed_until - view.now).total_seconds())) if case.claimed_until else 0,
        can_decide=_may_decide(request) and not is_decided and not is_others,
        can_undo=_may_decide(request) and standing is not None and standing.reviewer_id == _user(request).pk,
        can_reopen=case.state != Case.State.OPEN and request.user.has_perm("review.reopen_case"),
        standing=standing,
        note_max_length=NOTE_MAX_LENGTH,
        label_max_length=LABEL_MAX_LENGTH,
    )


def _nothing_left(request: HttpRequest, filters: Filters, status: int = HTTPStatus.OK) -> HttpResponse:
    now = timezone.now()
    # In one query: the page has to do with few, after all that were asked in search of a case.
    waiting = Case.objects.filter(state__in=[Case.State.OPEN, Case.State.FLAGGED]).order_by().values_list("state")
    by_state = dict(waiting.annotate(number=Count("pk")))
    counts = {
        "others": Case.objects.claimed(now).exclude(claimed_by=_user(request)).count(),
        "flagged": by_state.get(Case.State.FLAGGED, 0),
        "open": by_state.get(Case.State.OPEN, 0),
    }
    return _render(request, "nothing_left", status, title="Nothing left to review", counts=counts)


def _render(request: HttpRequest, name: str, status: int, **context: Any) -> HttpResponse:
    filters = Filters.from_query(request.GET)
    everything = {
        **admin.site.each_context(request),
        "is_nav_sidebar_enabled": False,  # two hours beside a list of tables would be no calm ones
        "opts": Case._meta,
        "filters": filters,
        "order": ORDERS[filters.order_key],
        "query": filters.query_string,
        "may_decide": _may_decide(request),
        **context,
    }
    return render(request, f"admin/review/case/{name}.html", everything, status=status)


def _in_words(decision: Decision) -> str:
    words = str(decision.get_kind_display()).lower()
    if decision.kind == Decision.Kind.CORRECTED:
        return f"{words} to “{decision.label.replace('_', ' ')}”"
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


def _may_decide(request: HttpRequest) -> bool:
    return request.user.has_perm("review.decide_case")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the admin lets nobody else in
    return request.user


def _wants_json(request: HttpRequest) -> bool:
    return request.headers.get("Accept", "").startswith("application/json")
