"""What people say of an answer."""

import json
import re
from typing import ClassVar

from django.db import models
from django.db.models import Q

from predictions.models import Prediction

LINE_ENDS = re.compile(r"\r\n|\r|\n")


class FeedbackQuerySet(models.QuerySet["Feedback"]):
    def not_mirrored(self) -> "FeedbackQuerySet":
        """Those whose line is not in the mirror, as far as the row knows."""
        return self.filter(mirrored_at__isnull=True)


class Feedback(models.Model):
    """One person's statement about one prediction. Never edited; a second statement is a second row.

    A report from an old client names no prediction: it is a text and nothing else.
    """

    class Verdict(models.TextChoices):
        WRONG = "wrong", "Wrong"
        RIGHT = "right", "Right"
        UNSURE = "unsure", "Not sure"

    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, null=True, blank=True, related_name="feedback")
    verdict = models.CharField(max_length=6, choices=Verdict, blank=True)
    expected_label = models.CharField(
        max_length=200, blank=True, help_text="what it should have been: one of the model's labels, or other words"
    )
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    mirrored_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "feedback"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(prediction__isnull=True, verdict="") | Q(prediction__isnull=False) & ~Q(verdict=""),
                name="feedback_on_a_prediction_has_a_verdict",
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=["", "wrong", "right", "unsure"]), name="feedback_verdict_is_known"
            ),
        ]
        indexes: ClassVar = [
            # the admin's list and date hierarchy: newest first
            models.Index(fields=["-created_at"], name="feedback_newest"),
            # the mirror's check and rebuild: the few rows whose line is missing
            models.Index(fields=["id"], condition=Q(mirrored_at__isnull=True), name="feedback_not_mirrored"),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display() if self.verdict else "Report"

    @property
    def mirror_line(self) -> str:
        """This statement as one line of the mirror, without the line's end.

        A report of an old client stands there as it came. Everything else is one JSON object, with the answer it
        speaks of beside it, so that the file can be used without the database.
        """
        if self.prediction is None:
            return LINE_ENDS.sub(" ", self.comment)
        return json.dumps(
            {
                "at": self.created_at.isoformat(timespec="milliseconds"),
                "prediction": str(self.prediction_id),
                "image": self.prediction.image.sha256,
                "model": self.prediction.model_version,
                "label": self.prediction.label,
                "score": self.prediction.score,
                "verdict": self.verdict,
                "expected": self.expected_label,
                "comment": self.comment,
            },
            ensure_ascii=False,
        )
