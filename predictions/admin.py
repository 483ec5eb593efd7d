from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from predictions import classifiers, erasing
from predictions.exceptions import RequestRejected
from predictions.models import Image, Prediction
from predictions.selectors import images_found, predictions_found
from predictions.templatetags.labels import percent, readable

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]  # generic in its type stubs only
else:
    ModelAdmin = admin.ModelAdmin


MAX_ERASED = 100  # pictures at once


class ReadOnlyAdmin(ModelAdmin):
    """A read-only admin for rows that record what happened."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def erase_redirect(request: HttpRequest, image_ids: Iterable[int]) -> HttpResponse | None:
    """Redirects to the page that asks whether to erase these images. For the actions of the admin's lists."""
    ids = list(image_ids)
    if len(ids) > MAX_ERASED:
        messages.error(request, f"At most {MAX_ERASED} pictures at once.")
        return None
    return redirect(f"{reverse('admin:predictions_image_erase')}?{urlencode([('id', pk) for pk in ids])}")


def thumbnail_html(prediction: Prediction) -> str:
    """Returns a thumbnail that links to the result page. Its alternative text is the predicted label."""
    return format_html(
        '<a href="{}"><img class="thumbnail" src="{}" alt="{}" loading="lazy" width="96" height="96"></a>',
        prediction.get_absolute_url(),
        reverse("predictions:thumbnail", args=[prediction.pk]),
        readable(prediction.label) or prediction.get_state_display(),
    )


def _with_a_prediction(images: QuerySet[Image]) -> QuerySet[Image]:
    """Adds `prediction_id`, the id of a prediction of each image, whose thumbnail pages can show."""
    predictions = Prediction.objects.filter(image=OuterRef("pk"))
    return images.annotate(prediction_id=Subquery(predictions.values("pk")[:1])).order_by("pk")


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
        "answer",
        "certainty",
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
        (
            "Answer",
            {
                "fields": (
                    "state",
                    "answer",
                    "certainty",
                    "top_labels",
                    "model_version",
                    "precision",
                    "error_code",
                    "error",
                )
            },
        ),
        (
            "Times",
            {
                "fields": (
                    "created_at",
                    "started_at",
                    "finished_at",
                    "expires_at",
                    "erased_at",
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

    @admin.display(description="label", ordering="label")
    def answer(self, prediction: Prediction) -> str:
        return readable(prediction.label) or "–"

    @admin.display(description="score", ordering="score")
    def certainty(self, prediction: Prediction) -> str:
        return "–" if prediction.score is None else percent(prediction.score)

    @admin.display(description="total time", ordering="finished_at")
    def total(self, prediction: Prediction) -> str:
        return "–" if prediction.total_ms is None else f"{prediction.total_ms:.0f} ms"

    @admin.display(description="best labels")
    def top_labels(self, prediction: Prediction) -> str:
        return ", ".join(f"{readable(label)} {percent(score)}" for label, score in prediction.top) or "–"

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
    actions = ("erase",)
    # Without `file`: Django would link to it, but stored files are served to nobody.
    fields = ("thumbnail", "sha256", "format", "width", "height", "byte_size", "times_sent", "created_at", "erased_at")

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

    def get_urls(self) -> list[URLPattern]:
        erase = path("erase/", self.admin_site.admin_view(self.erase_view), name="predictions_image_erase")
        return [erase, *super().get_urls()]

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("predictions.erase_image")

    @admin.action(description="Erase…", permissions=["erase"])
    def erase(self, request: HttpRequest, images: QuerySet[Image]) -> HttpResponse | None:
        return erase_redirect(request, images.values_list("pk", flat=True))

    def erase_view(self, request: HttpRequest) -> HttpResponse:
        """GET asks whether to erase the images that `id` names; POST erases them."""
        if not self.has_erase_permission(request):
            raise PermissionDenied
        ids = {
            int(text) for text in request.GET.getlist("id") if text.isascii() and text.isdecimal() and len(text) < 19
        }
        images = list(_with_a_prediction(Image.objects.filter(pk__in=ids, erased_at__isnull=True))[:MAX_ERASED])
        if request.method == "POST":
            self._erase(request, images)
            return redirect("admin:predictions_image_changelist")
        context = {
            **self.admin_site.each_context(request),
            "title": "Erase pictures",
            "opts": self.opts,
            "images": images,
        }
        return TemplateResponse(request, "admin/predictions/image/erase.html", context)

    def _erase(self, request: HttpRequest, images: Sequence[Image]) -> None:
        erased: Any = []
        try:
            for image in images:
                erasing.images_erase([image.pk])
                # The log must not hold their hashes.
                erased.append(Image(pk=image.pk, erased_at=timezone.now()))
        except RequestRejected as rejection:
            messages.error(request, rejection.message)
        if erased:
            self.log_deletions(request, erased)
            messages.success(request, f"Erased pictures: {len(erased)}.")

    @admin.display(description="picture")
    def thumbnail(self, image: Image) -> str:
        for prediction in image.predictions.order_by()[:1]:
            return thumbnail_html(prediction)
        return "–"

    @admin.display(description="SHA-256", ordering="sha256")
    def short_sha256(self, image: Image) -> str:
        return image.sha256[:12]

    @admin.display(description="times sent", ordering="prediction_count")
    def times_sent(self, image: Any) -> int:
        return int(image.prediction_count)
