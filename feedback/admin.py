from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from feedback.models import Feedback
from predictions.admin import ModelVersionFilter, ReadOnlyAdmin, thumbnail_html
from predictions.selectors import images_found, labels_found
from predictions.templatetags.labels import percent, readable


class AnsweringVersionFilter(ModelVersionFilter):
    parameter_name = "prediction__model_version"


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    list_display = (
        "thumbnail",
        "statement",
        "expected",
        "answer",
        "score",
        "model_version",
        "comment_start",
        "created_at",
    )
    list_display_links = ("statement",)
    list_filter = ("verdict", AnsweringVersionFilter, ("mirrored_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("expected_label", "expected_words", "comment")
    search_help_text = "part of a label, a comment or a person's own words, or the beginning of a picture's SHA-256"
    date_hierarchy = "created_at"
    list_per_page = 50
    fields = (
        "thumbnail",
        "prediction_link",
        "verdict",
        "expected",
        "comment",
        "created_at",
        "mirrored_at",
        "erased_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        return super().get_queryset(request).select_related("prediction")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Feedback], search_term: str
    ) -> tuple[QuerySet[Feedback], bool]:
        """Also finds the statements about a label or a picture, by indexes."""
        said, may_repeat = super().get_search_results(request, queryset, search_term)
        about = Q(prediction__label__in=labels_found(search_term)) | Q(image__in=images_found(search_term.strip()))
        return said | queryset.filter(about), may_repeat

    @admin.display(description="picture")
    def thumbnail(self, feedback: Feedback) -> str:
        return thumbnail_html(feedback.prediction) if feedback.prediction else "–"

    @admin.display(ordering="verdict")
    def statement(self, feedback: Feedback) -> str:
        return str(feedback)

    @admin.display(ordering="expected_label")
    def expected(self, feedback: Feedback) -> str:
        """The label, and the visitor's own words in quotation marks."""
        words = feedback.expected_words and f"“{feedback.expected_words}”"
        return " ".join(filter(None, [readable(feedback.expected_label), words])) or "–"

    @admin.display(description="answer", ordering="prediction__label")
    def answer(self, feedback: Feedback) -> str:
        return readable(feedback.prediction.label) if feedback.prediction else "–"

    @admin.display(ordering="prediction__score")
    def score(self, feedback: Feedback) -> str:
        prediction = feedback.prediction
        return "–" if prediction is None or prediction.score is None else percent(prediction.score)

    @admin.display(description="model", ordering="prediction__model_version")
    def model_version(self, feedback: Feedback) -> str:
        return feedback.prediction.model_version if feedback.prediction else "–"

    @admin.display(description="comment")
    def comment_start(self, feedback: Feedback) -> str:
        return feedback.comment if len(feedback.comment) <= 80 else f"{feedback.comment[:79]}…"

    @admin.display(description="prediction")
    def prediction_link(self, feedback: Feedback) -> str:
        prediction = feedback.prediction
        if prediction is None:
            return "–"
        return format_html('<a href="{}">{}</a>', prediction.get_absolute_url(), readable(str(prediction)))
