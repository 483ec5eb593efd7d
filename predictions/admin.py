from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from predictions import classifiers
from predictions.models import Image, Prediction
from predictions.selectors import images_found, predictions_found

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic in its type stubs only
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """A read-only admin for rows that record what happened."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def thumbnail_html(prediction: Prediction) -> str:
    """Returns a thumbnail that links to the result page. Its alternative text is the predicted label."""
    return format_html(
        '<a href="{}"><img class="thumbnail" src="{}" alt="{}" loading="lazy" width="96" height="96"></a>',
        prediction.get_absolute_url(),
        reverse("predictions:thumbnail", args=[prediction.pk]),
        prediction.label or prediction.get_state_display(),
    )


class ModelVersionFilter(admin.SimpleListFilter):
    """Filters by the installed model versions. Django's own filter reads the versions of all predictions."""

    title = "model version"
    parameter_name = "model_version"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        versions = {str(version) for version in classifiers.repository().versions()}
        chosen = self.value()
        return [(version, version) for version in sorted(versions | ({chosen} if chosen else set()))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        chosen = self.value()
        return queryset.filter(**{self.parameter_name: chosen}) if chosen else queryset


@admin.register(Prediction)
class PredictionAdmin(ReadOnlyAdmin):
    list_display = (
        "thumbnail",
        "short_id",
        "label",
        "percent",
        "state",
        "model_version",
        "source",
        "total",
        "created_at",
    )
    list_display_links = ("short_id",)
    list_filter = ("state", ModelVersionFilter, "source", "created_at")
    search_fields = ("label",)  # shows the search form: see `get_search_results`
    search_help_text = "a part of a label, or the beginning of a file name, of an id, or of a picture's SHA-256"
    date_hierarchy = "created_at"
    list_per_page = 50
    show_full_result_count = False
    list_select_related = False
    fieldsets = (
        (None, {"fields": ("thumbnail", "image_link", "file_name", "source")}),
        ("Answer", {"fields": ("state", "label", "percent", "top_labels", "model_version", "error_code", "error")}),
        (
            "Times",
            {
                "fields": (
                    "created_at",
                    "started_at",
                    "finished_at",
                    "expires_at",
                    "queue_ms",
                    "decode_ms",
                    "compute_ms",
                    "total",
                )
            },
        ),
    )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Prediction], search_term: str
    ) -> tuple[QuerySet[Prediction], bool]:
        return predictions_found(queryset, search_term), False

    @admin.display(description="picture")
    def thumbnail(self, prediction: Prediction) -> str:
        return thumbnail_html(prediction)

    @admin.display(description="id", ordering="id")
    def short_id(self, prediction: Prediction) -> str:
        return str(prediction.pk)[:8]

    @admin.display(description="score", ordering="score")
    def percent(self, prediction: Prediction) -> str:
        return "–" if prediction.score is None else f"{prediction.score:.1%}"

    @admin.display(description="total time", ordering="finished_at")
    def total(self, prediction: Prediction) -> str:
        return "–" if prediction.total_ms is None else f"{prediction.total_ms:.0f} ms"

    @admin.display(description="best labels")
    def top_labels(self, prediction: Prediction) -> str:
        return ", ".join(f"{label} {score:.1%}" for label, score in prediction.top) or "–"

    @admin.display(description="image")
    def image_link(self, prediction: Prediction) -> str:
        url = reverse("admin:predictions_image_change", args=[prediction.image_id])
        return format_html('<a href="{}">{}</a>', url, prediction.image)


@admin.register(Image)
class ImageAdmin(ReadOnlyAdmin):
    list_display = ("short_sha256", "format", "width", "height", "byte_size", "times_sent", "created_at")
    list_filter = ("format", "created_at")
    search_fields = ("sha256",)
    search_help_text = "the beginning of the SHA-256 of the bytes"
    date_hierarchy = "created_at"
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Image]:
        images: QuerySet[Image] = super().get_queryset(request)
        # A query for each image on the page. A join would count the predictions of all images first.
        sent = Prediction.objects.filter(image=OuterRef("pk")).order_by().values("image").annotate(number=Count("pk"))
        return images.annotate(prediction_count=Coalesce(Subquery(sent.values("number")), 0))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Image], search_term: str
    ) -> tuple[QuerySet[Image], bool]:
        text = search_term.strip()
        return queryset.filter(pk__in=images_found(text)) if text else queryset, False

    @admin.display(description="SHA-256", ordering="sha256")
    def short_sha256(self, image: Image) -> str:
        return image.sha256[:12]

    @admin.display(description="times sent", ordering="prediction_count")
    def times_sent(self, image: Any) -> int:
        return int(image.prediction_count)
