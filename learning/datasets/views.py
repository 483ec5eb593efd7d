"""Exports in the admin: ask for one, see how far it is, download it. For leads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import permission_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from learning.datasets import services
from learning.datasets.download import resumable
from learning.datasets.forms import ExportForm
from learning.datasets.writing import megabytes
from learning.models import Export
from predictions.exceptions import RequestRejected

AT_ONCE = 100  # how many exports may be looked after with one request

may_ask = permission_required("learning.add_export", raise_exception=True)
may_look = permission_required("learning.view_export", raise_exception=True)


@may_ask
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """GET says how much there is of what the query asks for; POST asks for it."""
    assert isinstance(request.user, User)  # noqa: S101 - who is not logged in has no permission
    if request.method != "POST":
        return _ask_page(request, ExportForm(request.GET))
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _ask_page(request, form, status=400)
    try:
        export = services.export_request(
            selection=form.selection, format=form.cleaned_data["format"], requested_by=request.user
        )
    except RequestRejected as rejection:
        form.add_error(None, ValidationError(rejection.message))
        return _ask_page(request, form, status=rejection.status)
    if export.is_waiting:
        messages.success(request, "The data set is being made. This page says how far it is.")
    else:
        messages.error(request, export.error)
    return redirect("admin:learning_export_changelist")


def _ask_page(request: HttpRequest, form: ExportForm, *, status: int = 200) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "New data set",
        "opts": Export._meta,
        "form": form,
    }
    if form.is_valid():
        size = form.selection.size()
        free = shutil.disk_usage(Path(settings.EXPORTS_DIR).parent).free
        context |= {
            "selection": form.selection,
            "size": size,
            "megabytes": megabytes(size.archive_bytes),
            "too_little_space": megabytes(free) if size.archive_bytes > free else "",
        }
    return TemplateResponse(request, "admin/learning/export/ask.html", context, status=status)


@may_look
@require_safe
def progress(request: HttpRequest) -> JsonResponse:
    """How far the exports are that `id` names, once or more. Those that are gone are left out."""
    chosen = []
    for text in request.GET.getlist("id")[:AT_ONCE]:
        try:
            chosen.append(UUID(text))
        except ValueError:
            continue
    found = {
        str(export.pk): {
            "name": str(export),
            "state": export.state,
            "is_waiting": export.is_waiting,
            "done": export.done,
            "total": export.total,
            "text": export.progress_text,
        }
        for export in Export.objects.filter(pk__in=chosen)
    }
    return JsonResponse({"exports": found})


@may_look
@require_safe
@cache_control(private=True, no_cache=True)
def download(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """The file. 404 if it is not made yet, 410 if it is not there any more."""
    export = get_object_or_404(Export, pk=export_id)
    if not export.is_done:
        return _no_file(request, export, 404)
    file = _opened(export)
    if file is None:
        return _no_file(request, export, 410)
    assert export.byte_size is not None and export.finished_at is not None  # noqa: S101 - the database sees to it
    return resumable(
        request,
        file,
        size=export.byte_size,
        etag=export.sha256,
        modified=export.finished_at,
        file_name=export.file_name,
        content_type="application/zip",
    )


def _opened(export: Export) -> IO[bytes] | None:
    """The file, if it is there and as long as it was when it was written."""
    try:
        file = export.path.open("rb")
    except FileNotFoundError:
        return None
    if os.fstat(file.fileno()).st_size != export.byte_size:
        file.close()
        return None
    return file


def _no_file(request: HttpRequest, export: Export, status: int) -> HttpResponse:
    title = "The file is gone" if export.is_done else "There is no file"
    context = {**admin.site.each_context(request), "title": title, "opts": Export._meta, "export": export}
    return TemplateResponse(request, "admin/learning/export/no_file.html", context, status=status)
