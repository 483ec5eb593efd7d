"""The admin views of data sets, for leads: request, progress and download."""

from __future__ import annotations

from uuid import UUID

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
from learning.datasets.case_selection import CaseSelection
from learning.datasets.download import resumable
from learning.datasets.forms import ExportForm
from learning.datasets.readme_text import waiting_sentence
from learning.models import Export
from learning.templatetags.units import file_size
from predictions.exceptions import RequestRejected

MAX_PROGRESS_IDS = 100  # exports in one progress request

may_request = permission_required("learning.add_export", raise_exception=True)
may_view = permission_required("learning.view_export", raise_exception=True)


@may_request
@require_http_methods(["GET", "HEAD", "POST"])
def request_export(request: HttpRequest) -> HttpResponse:
    """GET previews the data set that the query describes; POST requests it."""
    assert isinstance(request.user, User)  # noqa: S101 - anonymous users have no permission
    if request.method != "POST":
        return _request_page(request, ExportForm(request.GET))
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _request_page(request, form, status=400)
    try:
        export = services.export_request(
            selection=form.selection, format=form.cleaned_data["format"], requested_by=request.user
        )
    except RequestRejected as rejection:
        form.add_error(None, ValidationError(rejection.message))
        return _request_page(request, form, status=rejection.status)
    if export.is_waiting:
        messages.success(request, "The data set is being made. This page shows its progress.")
    else:
        messages.error(request, export.error)
    return redirect("admin:learning_export_changelist")


def _request_page(request: HttpRequest, form: ExportForm, *, status: int = 200) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": "New data set",
        "opts": Export._meta,
        "form": form,
    }
    if form.is_valid():
        try:
            context |= _preview(form.selection)
        except RequestRejected as rejection:  # the version has been removed since the form was checked
            form.add_error(None, ValidationError(rejection.message))
    return TemplateResponse(request, "admin/learning/export/request.html", context, status=status)


def _preview(selection: CaseSelection) -> dict[str, object]:
    preview = services.export_preview(selection)
    return {
        "selection": selection,
        "size": preview.size,
        "megabytes": file_size(preview.size.archive_bytes),
        "too_little_space": "" if preview.fits else file_size(preview.free_bytes),
        "waiting": waiting_sentence(preview.size.waiting) if preview.size.waiting else "",
    }


@may_view
@require_safe
def progress(request: HttpRequest) -> JsonResponse:
    """Returns the progress of the exports in `id`, which may be repeated. Deleted exports are left out."""
    chosen = []
    for text in request.GET.getlist("id")[:MAX_PROGRESS_IDS]:
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


@may_view
@require_safe
@cache_control(private=True, no_cache=True)
def download(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """Serves the file. 404 if it is not ready yet, 410 if it no longer exists."""
    export = get_object_or_404(Export, pk=export_id)
    if not export.is_done:
        return _no_file(request, export, 404)
    file = export.open_file()
    if file is None:
        return _no_file(request, export, 410)
    assert export.byte_size is not None and export.finished_at is not None  # noqa: S101 - a constraint
    return resumable(
        request,
        file,
        size=export.byte_size,
        etag=export.sha256,
        modified=export.finished_at,
        file_name=export.file_name,
        content_type="application/zip",
    )


def _no_file(request: HttpRequest, export: Export, status: int) -> HttpResponse:
    title = "The file is gone" if export.is_done else "There is no file"
    context = {**admin.site.each_context(request), "title": title, "opts": Export._meta, "export": export}
    return TemplateResponse(request, "admin/learning/export/no_file.html", context, status=status)
