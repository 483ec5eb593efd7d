"""Data sets, models and reports on int8 versions in the admin: the pages of leads."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.forms import Script
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.html import format_html

from learning.datasets import export_queue, services, views
from learning.datasets.case_selection import CaseSelection
from learning.models import Export, InstalledModel, Quantization
from learning.quantizing import views as quantizing_views
from learning.templatetags.units import file_size
from learning.versions import views as versions
from predictions.admin import ModelAdmin, ReadOnlyAdmin


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    list_display = ("name", "content", "asked_for", "progress", "file")
    list_select_related = ("requested_by",)
    list_per_page = 25
    show_full_result_count = False
    fields = ("kind", "chosen", "asked_for", "progress", "file", "checksum")

    class Media:
        css: ClassVar = {"all": ["learning/export.css"]}
        js: ClassVar = [Script("learning/export.js", type="module")]

    # --- Permissions: as the roles say, but nothing can be changed --------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return ModelAdmin.has_add_permission(self, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return ModelAdmin.has_delete_permission(self, request, obj)

    # --- Columns and fields -----------------------------------------------------------------------

    @admin.display(description="data set")
    def name(self, export: Export) -> str:
        return str(export)

    @admin.display
    def content(self, export: Export) -> str:
        return f"{self.kind(export)}: {self.chosen(export)}"

    @admin.display(description="format")
    def kind(self, export: Export) -> str:
        return str(export.get_format_display()).partition(":")[0]

    @admin.display(description="cases")
    def chosen(self, export: Export) -> str:
        return str(CaseSelection.from_json(export.selection))

    @admin.display(ordering="-created_at")
    def asked_for(self, export: Export) -> str:
        return f"{date_format(export.created_at, 'DATETIME_FORMAT')}, {export.requested_by}"

    @admin.display(description="state")
    def progress(self, export: Export) -> str:
        return render_to_string("admin/learning/export/progress.html", {"export": export})

    @admin.display
    def file(self, export: Export) -> str:
        size = file_size(export.byte_size) if export.byte_size else ""
        return render_to_string("admin/learning/export/file.html", {"export": export, "size": size})

    @admin.display(description="SHA-256")
    def checksum(self, export: Export) -> str:
        return format_html('<span id="sum-{}" data-live><code>{}</code></span>', export.pk, export.sha256 or "–")

    # --- Views ------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        own = {
            "title": "Data sets",
            "is_unattended": Export.objects.waiting().exists() and not export_queue.has_worker(),
        }
        return super().changelist_view(request, own | (extra_context or {}))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return views.request_export(request)

    def delete_model(self, request: HttpRequest, obj: Export) -> None:
        services.export_delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Export]) -> None:
        for export in queryset:
            services.export_delete(export)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        own = [
            path("progress/", guarded(views.progress), name="learning_export_progress"),
            # `cacheable`: the view sets its own cache headers.
            path(
                "<uuid:export_id>/download/", guarded(views.download, cacheable=True), name="learning_export_download"
            ),
        ]
        return [*own, *super().get_urls()]


@admin.register(Quantization)
class QuantizationAdmin(ReadOnlyAdmin):
    list_display = ("model_version", "base", "pictures_compared", "other_answers", "created_at")
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description="pictures compared", ordering="compared")
    def pictures_compared(self, quantization: Quantization) -> str:
        return f"{quantization.compared:,}"

    @admin.display(description="other answers than in f32", ordering="flipped")
    def other_answers(self, quantization: Quantization) -> str:
        return f"{quantization.flipped:,} ({quantization.flipped / max(quantization.compared, 1):.1%})"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Int8 versions"} | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return quantizing_views.report(request, object_id)

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        own = [
            path(
                "flips/<int:flip_id>/picture/",
                guarded(quantizing_views.picture, cacheable=True),
                name="learning_quantization_picture",
            ),
        ]
        return [*own, *super().get_urls()]


@admin.register(InstalledModel)
class InstalledModelAdmin(ReadOnlyAdmin):
    """The pages of model versions, which are files and no rows: only these addresses exist."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return versions.model_list(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return versions.model_page(request, unquote(object_id))

    def labels_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return versions.labels_file(request, unquote(object_id))

    def activate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return versions.activate(request, unquote(object_id))

    def get_urls(self) -> list[URLPattern]:
        guarded = self.admin_site.admin_view
        return [
            path("", guarded(self.changelist_view), name="learning_installedmodel_changelist"),
            path("rollback/", guarded(versions.rollback), name="learning_installedmodel_rollback"),
            path("<str:object_id>/change/", guarded(self.change_view), name="learning_installedmodel_change"),
            path("<str:object_id>/labels/", guarded(self.labels_view), name="learning_installedmodel_labels"),
            path("<str:object_id>/activate/", guarded(self.activate_view), name="learning_installedmodel_activate"),
        ]
