"""Label sets and the mappings between them, cases, the decisions on them, and the cases that reviewers skip."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, NoReturn

from django.contrib.auth.models import User
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from feedback.models import Feedback, FeedbackQuerySet
from predictions.models import Image, Prediction


class LabelSet(models.Model):
    """The labels of one or more model versions. It stays known after the versions are removed."""

    fingerprint = models.CharField(
        max_length=64, unique=True, help_text="of the labels; see `worker.inference.repository.fingerprint`"
    )
    labels = models.JSONField(help_text="[id, display name] of each label, and its name if that is another")
    versions = models.JSONField(default=list, help_text="name@version of the model versions that have these labels")

    def __str__(self) -> str:
        return f"labels of {', '.join(self.versions)}"


class LabelMapping(models.Model):
    """What becomes of the labels of one label set in another one.

    Labels with the same id need no row. Decisions keep the words they were made in: readers translate them, see
    `review.label_translation`.
    """

    class Change(models.TextChoices):
        RENAME = "rename", "Renamed"
        MERGE = "merge", "Merged"
        SPLIT = "split", "Split"
        DROP = "drop", "Dropped"
        PROPOSED = "proposed", "Proposed label"  # a label that reviewers proposed is now a label

    old = models.ForeignKey(LabelSet, on_delete=models.PROTECT, related_name="+")
    new = models.ForeignKey(LabelSet, on_delete=models.PROTECT, related_name="+")
    rows = models.JSONField(help_text="[change, old label, [new labels]] of each changed label")
    stored_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["old", "new"], name="label_mapping_once_for_each_pair"),
            models.CheckConstraint(condition=~Q(old=models.F("new")), name="label_mapping_is_between_two_sets"),
        ]

    def __str__(self) -> str:
        return f"{self.old} to {self.new}"


class CaseQuerySet(models.QuerySet["Case"]):
    def open(self) -> CaseQuerySet:
        """Cases that are neither decided nor flagged, claimed or not."""
        return self.filter(state=Case.State.OPEN)

    def returned(self) -> CaseQuerySet:
        """Open cases that came back because labels changed."""
        return self.open().filter(label_set__isnull=False)

    def claimed(self, now: datetime) -> CaseQuerySet:
        """Open cases that somebody looks at. Cases claimed in advance are not among them."""
        return self.open().filter(claimed_until__gt=now).exclude(claimed_in_advance=True)

    def free(self, now: datetime) -> CaseQuerySet:
        """Cases that nobody has claimed. A claim that has lapsed does not count."""
        return self.filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=now))

    def not_skipped_by(self, reviewer: User) -> CaseQuerySet:
        return self.filter(~Exists(Skip.objects.filter(case=OuterRef("pk"), reviewer=reviewer)))


class Case(models.Model):
    """One image under review.

    Feedback and decisions are the source of truth. The columns that repeat them are updated in the same transaction;
    the queue is ordered and filtered by these columns.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        DECIDED = "decided", "Decided"
        FLAGGED = "flagged", "Flagged"
        ERASED = "erased", "Erased"  # the picture was erased before it was decided

    SETTLED: ClassVar = (State.DECIDED, State.ERASED)  # nobody has to look at these cases

    class Outcome(models.TextChoices):
        RIGHT = "right", "Confirmed right"
        CORRECTED = "corrected", "Corrected"
        NO_LABEL = "no-label", "No label fits"
        UNUSABLE = "unusable", "Unusable"

    class OpenedBy(models.TextChoices):
        FEEDBACK = "feedback", "Feedback"
        LOW_SCORE = "low-score", "Low score"
        AUDIT = "audit", "Audit sample"

    image = models.OneToOneField(Image, on_delete=models.PROTECT, related_name="case")
    prediction = models.ForeignKey(
        Prediction, on_delete=models.PROTECT, related_name="+", help_text="the answer under review"
    )
    source = models.CharField(max_length=9, choices=OpenedBy, help_text="what opened it first")
    in_audit = models.BooleanField(
        default=False, help_text="in the random sample of all pictures, with or without feedback"
    )
    opened_at = models.DateTimeField(default=timezone.now)

    # from the answer under review
    predicted_label = models.CharField(max_length=200)
    score = models.FloatField(help_text="probability of the predicted label, 0 to 1")
    margin = models.FloatField(help_text="probability of the best label minus that of the second best, 0 to 1")
    model_version = models.CharField(max_length=120)

    # from the current feedback
    weight = models.PositiveIntegerField(default=0, help_text="how many people gave feedback on this picture")
    sender_count = models.PositiveIntegerField(
        default=0, db_default=0, help_text="the people, but all people of one network of API clients count as one"
    )
    wrong_count = models.PositiveIntegerField(default=0, help_text="how many people say that an answer is wrong")
    is_disputed = models.BooleanField(default=False, help_text="somebody says that the answer is wrong")
    expected_label = models.CharField(max_length=200, blank=True, help_text="the label that most people expect")
    # Empty means no, as for `claimed_in_advance`.
    has_other_expected_labels = models.BooleanField(
        null=True, blank=True, help_text="some people expect a label other than the expected one"
    )
    last_statement_at = models.DateTimeField(null=True, blank=True)

    # from the decisions
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    verdict = models.CharField(max_length=9, choices=Outcome, blank=True)
    label = models.CharField(max_length=200, blank=True, help_text="the label that a reviewer decided on")
    proposed_label = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="what the picture shows, if no label says it"
    )
    label_set = models.ForeignKey(
        LabelSet,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        help_text="the labels it was decided with or came back for, if not those of the version that answered",
    )
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    decision_count = models.PositiveIntegerField(default=0, help_text="all rows of its history, including undone ones")

    # while a reviewer looks at the case, or will look at it soon
    claimed_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="claimed_cases")
    claimed_until = models.DateTimeField(null=True, blank=True)
    # Empty means no. SQLite would copy the whole table to add a column that cannot be empty.
    claimed_in_advance = models.BooleanField(
        null=True, blank=True, help_text="a page has loaded the case, and nobody looks at it yet"
    )

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
                | ~Q(state="decided")
                & Q(verdict="", label="", proposed_label="", decided_at__isnull=True, decided_by__isnull=True),
                name="case_is_decided_with_its_verdict",
            ),
            models.CheckConstraint(
                condition=~Q(verdict__in=["right", "corrected"]) | ~Q(label=""), name="case_has_a_label_or_is_unusable"
            ),
            models.CheckConstraint(
                condition=Q(verdict="no-label", label="") & ~Q(proposed_label="")
                | ~Q(verdict="no-label") & Q(proposed_label=""),
                name="case_proposes_a_label_if_none_fits",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "decided", "flagged", "erased"]), name="case_state_is_known"
            ),
        ]
        indexes: ClassVar = [
            # the orders of the queue, and the next case of a reviewer
            models.Index(fields=["state", "-sender_count", "-weight", "opened_at", "id"], name="case_most_reported"),
            models.Index(fields=["state", "-is_disputed", "-score", "id"], name="case_confidently_wrong"),
            models.Index(fields=["state", "margin", "id"], name="case_smallest_margin"),
            models.Index(fields=["state", "opened_at", "id"], name="case_oldest"),
            # the filters of the queue and the counts beside them, which read no row: the narrow indexes serve a label
            # alone, the wide ones a label combined with other filters
            models.Index(fields=["state", "predicted_label"], name="case_predicted_label"),
            models.Index(
                fields=["state", "predicted_label", "source", "model_version", "opened_at", "image"],
                name="case_by_predicted_label",
            ),
            models.Index(fields=["state", "source", "model_version", "opened_at", "image"], name="case_by_source"),
            models.Index(fields=["state", "label"], name="case_by_label"),
            models.Index(fields=["state", "verdict"], name="case_by_verdict"),
            # similar cases: those with the same expected label; the counts by expected label
            models.Index(
                fields=["state", "expected_label", "has_other_expected_labels"], name="case_by_expected_label"
            ),
            models.Index(
                fields=["state", "image"],
                condition=Q(has_other_expected_labels=True),
                name="case_other_expected_labels",
            ),
            # cases that came back because labels changed
            models.Index(fields=["state"], condition=Q(label_set__isnull=False), name="case_returned"),
            # current claims: few rows that almost every page asks for
            models.Index(fields=["claimed_until"], condition=Q(claimed_until__isnull=False), name="case_claimed"),
        ]

    def __str__(self) -> str:
        return f"Case {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("admin:review_case_focus", args=[self.pk])

    @property
    def feedback(self) -> FeedbackQuerySet:
        """All feedback on the image, including replaced statements."""
        return Feedback.objects.filter(image_id=self.image_id)

    @cached_property
    def people_expect(self) -> frozenset[str]:
        """The labels that people expect. `bulk` sets it for many cases at once."""
        expected = self.feedback.current().exclude(expected_label="")
        return frozenset(expected.order_by().values_list("expected_label", flat=True).distinct())

    @property
    def named(self) -> str:
        """The label that a reviewer decided on, or the proposed one."""
        return self.label or self.proposed_label

    def is_claimed_at(self, at: datetime) -> bool:
        return self.claimed_until is not None and self.claimed_until > at

    def is_looked_at(self, at: datetime) -> bool:
        """Whether somebody has claimed the case, and not only in advance."""
        return self.is_claimed_at(at) and not self.claimed_in_advance

    def is_looked_at_by_other(self, reviewer: User, at: datetime) -> bool:
        """Whether somebody else has claimed the case, and not only in advance."""
        return self.is_looked_at(at) and self.claimed_by_id != reviewer.pk

    def state_at(self, at: datetime) -> str:
        """The state in words: a verdict, or "Claimed" if somebody looks at an open case at that time."""
        if self.state == self.State.DECIDED:
            return str(self.get_verdict_display())
        if self.state == self.State.OPEN and self.is_looked_at(at):
            return "Claimed"
        return str(self.get_state_display())


class AppendOnlyQuerySet(models.QuerySet["Decision"]):
    def update(self, **_columns: Any) -> NoReturn:
        raise TypeError("Decisions are append-only.")

    def delete(self) -> NoReturn:
        raise TypeError("Decisions are append-only.")


class Decision(models.Model):
    """One row in the history of a case: a verdict, a flag, an undo or a reopening. Rows are only ever added."""

    class Kind(models.TextChoices):
        RIGHT = "right", "Confirmed right"
        CORRECTED = "corrected", "Corrected"
        NO_LABEL = "no-label", "No label fits"
        UNUSABLE = "unusable", "Unusable"
        FLAGGED = "flagged", "Flagged"
        UNDO = "undo", "Undone"
        REOPEN = "reopen", "Reopened"

    VERDICTS: ClassVar = (Kind.RIGHT, Kind.CORRECTED, Kind.NO_LABEL, Kind.UNUSABLE)
    CAN_BE_UNDONE: ClassVar = (*VERDICTS, Kind.FLAGGED)

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="decisions")
    number = models.PositiveIntegerField(help_text="1, 2, 3... within its case")
    kind = models.CharField(max_length=9, choices=Kind)
    label = models.CharField(max_length=200, blank=True)
    proposed_label = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="what the picture shows, if no label says it"
    )
    label_set = models.ForeignKey(
        LabelSet,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        help_text="the labels it was decided with, if not those of the version that answered",
    )
    note = models.TextField(blank=True)
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    undoes = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by")
    bulk = models.UUIDField(
        null=True, blank=True, db_index=True, help_text="the same for all decisions of one bulk write"
    )
    key = models.UUIDField(null=True, blank=True, help_text="of the write that stored it; a retry has the same key")

    # the answer that the reviewer saw
    prediction = models.ForeignKey(Prediction, on_delete=models.PROTECT, related_name="+")
    predicted_label = models.CharField(max_length=200)
    score = models.FloatField()
    model_version = models.CharField(max_length=120)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ("case", "number")
        constraints: ClassVar = [
            # When two reviewers decide at the same time, the second insert fails.
            models.UniqueConstraint(fields=["case", "number"], name="decision_numbers_are_unique"),
            # A write changes a case once, however often it is sent. Retries find its rows by this index.
            models.UniqueConstraint(fields=["reviewer", "key", "case"], name="decision_once_for_each_key"),
            models.CheckConstraint(
                condition=Q(kind__in=["right", "corrected", "no-label", "unusable", "flagged", "undo", "reopen"]),
                name="decision_kind_is_known",
            ),
            models.CheckConstraint(
                condition=Q(kind="no-label", label="") & ~Q(proposed_label="")
                | ~Q(kind="no-label") & Q(proposed_label=""),
                name="decision_proposes_a_label_if_none_fits",
            ),
            models.CheckConstraint(
                condition=Q(kind="undo", undoes__isnull=False) | ~Q(kind="undo") & Q(undoes__isnull=True),
                name="decision_undo_names_what_it_undoes",
            ),
        ]
        indexes: ClassVar = [
            # undo: the newest decision of a reviewer
            models.Index(fields=["reviewer", "-id"], name="decision_newest_of_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.named}" if self.named else str(self.get_kind_display())

    def save(self, **options: Any) -> None:
        if not self._state.adding:
            raise TypeError("Decisions are append-only.")
        super().save(**options)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        raise TypeError("Decisions are append-only.")

    @property
    def named(self) -> str:
        """The label, or the proposed one."""
        return self.label or self.proposed_label


class Skip(models.Model):
    """A case that a reviewer leaves to others. They see it again when no other case is left."""

    case = models.ForeignKey(Case, on_delete=models.CASCADE, related_name="skips")
    reviewer = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    key = models.UUIDField(null=True, blank=True, help_text="of the write that stored it; a retry has the same key")

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["reviewer", "case"], name="skip_once_for_each_reviewer"),
        ]

    def __str__(self) -> str:
        return f"{self.reviewer} skipped {self.case}"
