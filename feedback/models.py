"""Feedback: what people say about an answer."""

import json
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from feedback.text import printable_line
from predictions import labels
from predictions.models import Image, Prediction


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def not_mirrored(self) -> "FeedbackQuerySet":
        """Statements whose line is not yet in the mirror."""
        return self.filter(mirrored_at__isnull=True, erased_at__isnull=True)

    def still_mirrored(self) -> "FeedbackQuerySet":
        """Erased statements whose line may still be in the mirror."""
        return self.filter(mirrored_at__isnull=False, erased_at__isnull=False)

    def current(self) -> "FeedbackQuerySet":
        """Statements that count: the newest of each author about a prediction, unless its sender has deleted it."""
        return self.filter(is_current=True)


class Feedback(models.Model):
    """One person's statement about one prediction.

    A statement is never edited, but its words can be erased (see `receivers`). If its author says something else about
    the same prediction, that is a new row, and the earlier one is no longer current. The report of a legacy client
    names no prediction; it has only a comment.
    """

    class Verdict(models.TextChoices):
        WRONG = "wrong", "Wrong"
        RIGHT = "right", "Right"
        UNSURE = "unsure", "Not sure"

    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, null=True, blank=True, related_name="feedback")
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True)
    expected_label = models.CharField(
        max_length=200, blank=True, help_text="what it should have been: one of the model's labels"
    )
    expected_words = models.CharField(
        max_length=200, blank=True, help_text="what it should have been, where no label says it"
    )
    comment = models.TextField(blank=True)
    author = models.CharField(max_length=64, blank=True, editable=False, help_text="who says so; see `authors`")
    sender = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="the network of an API client, whatever authors it names; see `authors`",
    )
    is_current = models.BooleanField(
        default=True, editable=False, help_text="not replaced by what its author said later"
    )
    image = models.ForeignKey(
        Image,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        editable=False,
        related_name="feedback",
        help_text="the prediction's image: everything said about one image is counted together",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    mirrored_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="its line is in the mirror since then"
    )
    erased_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="its words, author and line in the mirror are erased"
    )

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "feedback"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(prediction__isnull=True, image__isnull=True)
                | Q(prediction__isnull=False, image__isnull=False),
                name="feedback_has_the_image_of_its_prediction",
            ),
            models.CheckConstraint(
                condition=Q(prediction__isnull=True, verdict="") | Q(prediction__isnull=False) & ~Q(verdict=""),
                name="feedback_on_a_prediction_has_a_verdict",
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=["", "wrong", "right", "unsure"]), name="feedback_verdict_is_known"
            ),
            models.UniqueConstraint(
                fields=["prediction", "author"],
                condition=Q(is_current=True) & ~Q(author=""),
                name="feedback_one_current_of_each_author",
            ),
        ]
        indexes: ClassVar = [
            # The admin's list and date hierarchy, newest first; also covers the query of the statistics.
            models.Index(fields=["created_at", "verdict", "prediction"], name="feedback_by_day"),
            # The queue's filter "People expect" and the counts beside it.
            models.Index(
                fields=["expected_label", "image"],
                condition=Q(is_current=True) & ~Q(expected_label=""),
                name="feedback_expected_label",
            ),
            # Everything that a visitor has said, when their history moves to another one.
            models.Index(fields=["author", "image"], condition=~Q(author=""), name="feedback_by_author"),
            # The check of the mirror counts the few rows whose line is missing.
            models.Index(fields=["id"], condition=Q(mirrored_at__isnull=True), name="feedback_not_mirrored"),
            # Workers ask every few seconds for the few erased statements whose line is still in the mirror.
            models.Index(
                fields=["id"],
                condition=Q(mirrored_at__isnull=False, erased_at__isnull=False),
                name="feedback_still_mirrored",
            ),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display() if self.verdict else "Report"

    def save(self, **options: Any) -> None:
        if self.prediction is not None:
            self.image_id = self.prediction.image_id
        super().save(**options)

    @property
    def expected_label_id(self) -> str:
        """The id of the expected label, or an empty string if there is none or its model version is not installed."""
        if self.prediction is None or not self.expected_label:
            return ""
        return labels.of_version(self.prediction.model_version).id_of(self.expected_label) or ""

    @property
    def mirror_start(self) -> str:
        """The start of the line of a statement about a prediction, which is in no other line."""
        return f'{{"at": "{self._at}", "prediction": "{self.prediction_id}", '

    @property
    def _at(self) -> str:
        return self.created_at.isoformat(timespec="milliseconds")

    @property
    def mirror_line(self) -> str:
        """The statement as one line of the mirror, without the line end.

        The report of a legacy client is written as plain text. Any other statement is a JSON object that includes the
        answer, so that the file can be used without the database. Neither holds control characters: a terminal that
        shows the file would obey them.
        """
        if self.prediction is None:
            return printable_line(self.comment)
        values = {
            "at": self._at,
            "prediction": str(self.prediction_id),
            "image": self.prediction.image.sha256,
            "model": self.prediction.model_version,
            "label": self.prediction.label,
            "score": self.prediction.score,
            "verdict": self.verdict,
            "expected": self.expected_label or self.expected_words,
            "comment": self.comment,
        }
        if self.expected_label and self.expected_words:
            values["words"] = self.expected_words
        return printable_line(json.dumps(values, ensure_ascii=False))
