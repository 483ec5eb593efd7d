"""Cases, what was decided of them, and by whom."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, NoReturn

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from feedback.models import Feedback, FeedbackQuerySet
from predictions.models import Image, Prediction


class CaseQuerySet(models.QuerySet["Case"]):
    def open(self) -> CaseQuerySet:
        """Those that nobody has decided, claimed or not."""
        return self.filter(state=Case.State.OPEN)

    def claimed(self, now: datetime) -> CaseQuerySet:
        """Open ones that somebody looks at at that moment."""
        # Said in these words SQLite reads those few, and not all that are open.
        return self.filter(claimed_until__gt=now).exclude(state__in=[Case.State.DECIDED, Case.State.FLAGGED])

    def free(self, now: datetime) -> CaseQuerySet:
        """Those that nobody keeps for himself at that moment."""
        return self.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now))

    def not_skipped_by(self, reviewer: User) -> CaseQuerySet:
        return self.filter(~Exists(Skip.objects.filter(case=OuterRef("pk"), reviewer=reviewer)))


class Case(models.Model):
    """One picture that a reviewer should look at, with everything that was answered and said of it.

    The statements and the decisions are the truth. What stands here of them is a copy, written in the same
    transaction, that the queue can be ordered and filtered by.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DECIDED = "decided", "Decided"
        FLAGGED = "flagged", "Flagged"

    class Verdict(models.TextChoices):
        RIGHT = "right", "Confirmed right"
        CORRECTED = "corrected", "Corrected"
        UNUSABLE = "unusable", "Unusable"

    class Source(models.TextChoices):
        FEEDBACK = "feedback", "Feedback"
        LOW_SCORE = "low-score", "Low score"
        AUDIT = "audit", "Audit sample"

    image = models.OneToOneField(Image, on_delete=models.PROTECT, related_name="case")
    prediction = models.ForeignKey(
        Prediction, on_delete=models.PROTECT, related_name="+", help_text="the answer under review"
    )
    source = models.CharField(max_length=9, choices=Source, help_text="what opened it first")
    in_audit = models.BooleanField(
        default=False, help_text="in the random sample of all pictures, whatever else was said of it"
    )
    opened_at = models.DateTimeField(default=timezone.now)

    # of the answer under review
    predicted_label = models.CharField(max_length=200)
    score = models.FloatField(help_text="probability of the predicted label, 0 to 1")
    margin = models.FloatField(help_text="by how much the best label's probability exceeds the second best's, 0 to 1")
    model_version = models.CharField(max_length=120)

    # of the current statements
    weight = models.PositiveIntegerField(default=0, help_text="how many people said something of this picture")
    wrong_count = models.PositiveIntegerField(default=0)
    is_disputed = models.BooleanField(default=False, help_text="somebody says that the answer is wrong")
    expected_label = models.CharField(max_length=200, blank=True, help_text="the label that most people expect")
    last_statement_at = models.DateTimeField(null=True, blank=True)

    # of the decisions
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    verdict = models.CharField(max_length=9, choices=Verdict, blank=True)
    label = models.CharField(max_length=200, blank=True, help_text="what a reviewer says it is")
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_count = models.PositiveIntegerField(default=0, help_text="all rows of its history, undone ones too")

    # while a reviewer looks at it
    claimed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="claimed_cases")
    claimed_until = models.DateTimeField(null=True, blank=True)

    objects = CaseQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [
            ("decide_case", "Can decide cases"),
            ("reopen_case", "Can reopen decided cases"),
            ("view_statistics", "Can see the statistics"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state="decided", decided_at__isnull=False, decided_by__isnull=False) & ~Q(verdict="")
                | ~Q(state="decided") & Q(verdict="", label="", decided_at__isnull=True, decided_by__isnull=True),
                name="case_is_decided_with_its_verdict",
            ),
            models.CheckConstraint(
                condition=~Q(verdict__in=["right", "corrected"]) | ~Q(label=""), name="case_has_a_label_or_is_unusable"
            ),
            models.CheckConstraint(condition=Q(state__in=["open", "decided", "flagged"]), name="case_state_is_known"),
        ]
        indexes: ClassVar = [
            # the orders of the queue, and the next case of a reviewer
            models.Index(fields=["state", "-weight", "opened_at", "id"], name="case_most_reported"),
            models.Index(fields=["state", "-is_disputed", "-score", "id"], name="case_confidently_wrong"),
            models.Index(fields=["state", "margin", "id"], name="case_smallest_margin"),
            models.Index(fields=["state", "opened_at", "id"], name="case_oldest"),
            # the filters of the queue, and the numbers beside them, which are counted without reading a row:
            # of one label in the small ones, of one and whatever else is chosen in the wide ones
            models.Index(fields=["state", "predicted_label"], name="case_predicted_label"),
            models.Index(fields=["state", "expected_label"], name="case_expected_label"),
            models.Index(
                fields=["state", "predicted_label", "expected_label", "source", "model_version", "opened_at"],
                name="case_by_predicted_label",
            ),
            models.Index(
                fields=["state", "expected_label", "predicted_label", "source", "model_version", "opened_at"],
                name="case_by_expected_label",
            ),
            models.Index(fields=["state", "source", "model_version", "opened_at"], name="case_by_source"),
            models.Index(fields=["state", "label"], name="case_by_label"),
            models.Index(fields=["state", "verdict"], name="case_by_verdict"),
            # who looks at what just now: few rows, and they are asked for all the time
            models.Index(fields=["claimed_until"], condition=Q(claimed_until__isnull=False), name="case_claimed"),
        ]

    def __str__(self) -> str:
        return f"Case {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("admin:review_case_focus", args=[self.pk])

    @property
    def feedback(self) -> FeedbackQuerySet:
        """Everything that was said about the image, replaced statements too."""
        return Feedback.objects.filter(image_id=self.image_id)

    def is_claimed_at(self, moment: datetime) -> bool:
        return self.claimed_until is not None and self.claimed_until > moment

    def state_at(self, moment: datetime) -> str:
        """The state in words, with what derives from the time: whether somebody is looking at it."""
        if self.state == self.State.DECIDED:
            return str(self.get_verdict_display())
        if self.state == self.State.OPEN and self.is_claimed_at(moment):
            return "Claimed"
        return str(self.get_state_display())


class AppendOnlyQuerySet(models.QuerySet["Decision"]):
    def update(self, **_columns: Any) -> NoReturn:
        raise TypeError("Decisions are only ever added.")

    def delete(self) -> NoReturn:
        raise TypeError("Decisions are only ever added.")


class Decision(models.Model):
    """What one reviewer did to a case. Only ever added: taking something back is another row."""

    class Kind(models.TextChoices):
        RIGHT = "right", "Confirmed right"
        CORRECTED = "corrected", "Corrected"
        UNUSABLE = "unusable", "Unusable"
        FLAGGED = "flagged", "Flagged"
        UNDO = "undo", "Undone"
        REOPEN = "reopen", "Reopened"

    VERDICTS: ClassVar = (Kind.RIGHT, Kind.CORRECTED, Kind.UNUSABLE)
    CAN_BE_UNDONE: ClassVar = (*VERDICTS, Kind.FLAGGED)

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="decisions")
    number = models.PositiveIntegerField(help_text="1, 2, 3... within its case")
    kind = models.CharField(max_length=9, choices=Kind)
    label = models.CharField(max_length=200, blank=True)
    note = models.TextField(blank=True)
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    bulk = models.UUIDField(
        null=True, blank=True, db_index=True, help_text="the same for all that were decided at once"
    )
    key = models.UUIDField(null=True, blank=True, help_text="of the write that stored it: a retry has the same one")

    # What the model had said, as it stood before the reviewer's eyes.
    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, related_name="+")
    predicted_label = models.CharField(max_length=200)
    score = models.FloatField()
    model_version = models.CharField(max_length=120)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("case", "number")
        constraints: ClassVar = [
            # Two reviewers who decide at the same moment: the second one meets this.
            models.UniqueConstraint(fields=["case", "number"], name="decision_numbers_are_unique"),
            # A write changes a case once, however often it is sent. Its rows are found by this index.
            models.UniqueConstraint(fields=["reviewer", "key", "case"], name="decision_once_for_each_key"),
            models.CheckConstraint(
                condition=Q(kind__in=["right", "corrected", "unusable", "flagged", "undo", "reopen"]),
                name="decision_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(kind="undo", undoes__isnull=False) | ~Q(kind="undo") & Q(undoes__isnull=True),
                name="decision_undo_names_what_it_undoes",
            ),
        ]
        indexes: ClassVar = [
            # undo: the newest of one reviewer's
            models.Index(fields=["reviewer", "-id"], name="decision_newest_of_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.label}" if self.label else str(self.get_kind_display())

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("Decisions are only ever added.")
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        raise TypeError("Decisions are only ever added.")


class Skip(models.Model):
    """A reviewer leaves a case to others. It comes back to him when he has seen all the rest."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="skips")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    key = models.UUIDField(null=True, blank=True, help_text="of the write that stored it: a retry has the same one")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reviewer", "case"], name="skip_once_for_each_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} skipped {self.case}"
