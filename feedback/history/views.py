"""The pages of a visitor's history. No cache keeps them, and no search engine lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from http import HTTPStatus

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from feedback.history import links
from feedback.history.merging import histories_merge, history_gather
from feedback.history.selectors import TEXT_MAX_LENGTH, Cursor, Show, history_page, sent_picture_count
from predictions import erasing, visitors
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.views.redirects import HttpResponseSeeOther

DELETED_AT_ONCE = 50  # pictures in one request: 30 queries each, a second for all

_PROGRESS_SALT = "feedback.history.deleted"

View = Callable[[HttpRequest], HttpResponse]


def private(view: View) -> View:
    """Decorator. Keeps the page out of caches and search engines."""

    @never_cache
    @wraps(view)
    def wrapper(request: HttpRequest) -> HttpResponse:
        response = view(request)
        response["X-Robots-Tag"] = "noindex"
        return response

    return wrapper


@private
@require_safe
def show_page(request: HttpRequest) -> HttpResponse:
    query = request.GET
    show = Show(query["show"]) if query.get("show") in Show.values else Show.ALL
    text = query.get("q", "").replace("\x00", "").strip()[:TEXT_MAX_LENGTH]
    older, newer = Cursor.parse(query.get("older", "")), Cursor.parse(query.get("newer", ""))
    page = history_page(visitors.known_visitor(request), show=show, text=text, older=older, newer=newer)
    if older and not page.pictures:  # what this page has shown was deleted
        return HttpResponseSeeOther(_address(show, text))
    context = {
        "page": page,
        "show": show,
        "text": text,
        "text_max_length": TEXT_MAX_LENGTH,
        "choices": [(choice, _address(choice, text)) for choice in Show],
        "newer_address": _address(show, text, newer=page.newer) if page.newer else "",
        "older_address": _address(show, text, older=page.older) if page.older else "",
        "is_filtered": bool(text) or show != Show.ALL,
        "next_page": request.get_full_path(),
    }
    return render(request, "history/page.html", context)


def _address(show: Show, text: str, **cursors: Cursor) -> str:
    """Returns the address of a page of the history with these filters."""
    query = QueryDict(mutable=True)
    if show != Show.ALL:
        query["show"] = show.value
    if text:
        query["q"] = text
    for name, cursor in cursors.items():
        query[name] = str(cursor)
    address = reverse("history:page")
    return f"{address}?{query.urlencode()}" if query else address


@private
@require_http_methods(["GET", "HEAD", "POST"])
def delete_all(request: HttpRequest) -> HttpResponse:
    """GET asks whether to delete everything, and how many pictures that is. POST deletes `DELETED_AT_ONCE` of them.

    While some are left, it redirects to the same question with what is done so far in `done`, signed.
    """
    visitor = visitors.known_visitor(request)
    deleted = _progress(request.GET.get("done", ""))
    if request.method != "POST":
        context = {"left": sent_picture_count(visitor), "deleted": deleted.total(), "at_once": DELETED_AT_ONCE}
        return render(request, "history/delete.html", context)
    try:
        deleted += erasing.sent_pictures_delete(visitor, limit=DELETED_AT_ONCE)
    except RequestRejected as rejection:
        messages.error(request, rejection.message)
    if sent_picture_count(visitor):
        done = signing.dumps(dict(deleted), salt=_PROGRESS_SALT)
        return HttpResponseSeeOther(f"{reverse('history:delete')}?done={done}")
    if deleted:
        messages.success(request, _deleted_words(deleted))
    return HttpResponseSeeOther(reverse("history:page"))


def _progress(done: str) -> Counter[Kept]:
    """Returns the numbers of the pictures that the requests before this one have deleted."""
    try:
        return Counter({Kept(kept): number for kept, number in signing.loads(done, salt=_PROGRESS_SALT).items()})
    except signing.BadSignature:
        return Counter()


def _deleted_words(deleted: Counter[Kept]) -> str:
    """Says how many pictures were deleted, and how many files stay without anything about the visitor."""
    number = deleted.total()
    everything = "Your picture was deleted" if number == 1 else f"Your {number} pictures were deleted"
    words = [f"{everything}, with file names and everything you said about them." if number > 1 else f"{everything}."]
    if others := deleted[Kept.FOR_OTHERS]:
        words.append(f"Somebody else has sent {_of(others, number)} too: {_stays(others)} for them.")
    if training := deleted[Kept.FOR_TRAINING]:
        words.append(
            f"A reviewer has decided what {_of(training, number)} shows: {_stays(training)} for training, "
            "without anything about you."
        )
    return " ".join(words)


def _of(part: int, number: int) -> str:
    return "it" if number == 1 else f"{part} of them"


def _stays(number: int) -> str:
    return "the picture itself stays" if number == 1 else "these pictures themselves stay"


@private
@require_http_methods(["GET", "HEAD", "POST"])
def make_link(request: HttpRequest) -> HttpResponse:
    """GET explains the private link; POST shows a new one."""
    token = visitors.known_token(request)
    context: dict[str, object] = {"has_history": bool(token), "minutes": links.LINK_SECONDS // 60}
    if request.method == "POST" and token:
        address = request.build_absolute_uri(reverse("history:open"))
        link = f"{address}#{links.link_code(token)}"
        valid_until = timezone.now() + timedelta(seconds=links.LINK_SECONDS)
        context |= {"link": link, "qr_code": links.qr_code(link), "valid_until": valid_until}
    return render(request, "history/link.html", context)


@private
@require_http_methods(["GET", "HEAD", "POST"])
def open_link(request: HttpRequest) -> HttpResponse:
    """GET asks whether to show the other device's pictures here; POST does so, and merges the two histories."""
    if request.method != "POST":
        return _question(request)
    try:
        token = _used_token(request)
    except RequestRejected as rejection:
        return _question(request, rejection)
    response = HttpResponseSeeOther(reverse("history:page"))
    visitors.set_token(response, token)
    return response


def _question(request: HttpRequest, rejection: RequestRejected | None = None) -> HttpResponse:
    context = {"own_pictures": sent_picture_count(visitors.known_visitor(request)), "rejection": rejection}
    return render(request, "history/open.html", context, status=rejection.status if rejection else HTTPStatus.OK)


def _used_token(request: HttpRequest) -> str:
    """Uses the submitted link, merges the histories, and returns the token of the merged one.

    Raises `RequestRejected`; see `links`.
    """
    code = request.POST.get("link", "")
    token = links.link_token(code)
    visitor, other = visitors.known_visitor(request), visitors.current(visitors.visitor_of(token))
    if visitor == other:
        history_gather(visitor)  # what a merge that was interrupted has left
        messages.success(request, "This browser shows these pictures already.")
        return token
    # The secret of the CSRF cookie tells two browsers apart that have no other cookie yet.
    links.link_use(code, browser=visitors.identity("browser", request.META.get("CSRF_COOKIE", "")))
    has_own_pictures = sent_picture_count(visitor) > 0
    if visitor:
        histories_merge(visitor, into=other)
    both, only_other = "Both devices now show the pictures of both.", "These are the pictures of the other device."
    messages.success(request, both if has_own_pictures else only_other)
    return token
