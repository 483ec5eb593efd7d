"""Data sets made from decided cases, reports on int8 versions, and the model behind the pages of versions."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone

from predictions.models import Image


class ExportQuerySet(models.QuerySet["Export"]):
    def waiting(self) -> ExportQuerySet:
        """Exports that a worker still has to finish."""
        return self.filter(state__in=Export.WAITING)


class Export(models.Model):
    """One data set: its selection, its progress and its file.

    Conditional `UPDATE`s settle it only once (see `learning.datasets.services`). A worker that stops early
    queues it again.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"

    WAITING: ClassVar = (State.QUEUED, State.RUNNING)

    class DatasetFormat(models.TextChoices):
        IMAGEFOLDER = "imagefolder", "ImageFolder: one folder of pictures for each label"
        TFRECORD = "tfrecord", "TFRecord: one file, for tf.data"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    format = models.CharField(max_length=11, choices=DatasetFormat)
    selection = models.JSONField(default=dict, help_text="which of the decided cases; see `CaseSelection`")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)

    total = models.PositiveIntegerField(default=0, help_text="cases")
    done = models.PositiveIntegerField(default=0, help_text="cases written so far")
    missing = models.PositiveIntegerField(default=0, help_text="pictures that are no longer stored, or are damaged")
    byte_size = models.PositiveBigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, verbose_name="SHA-256")
    error = models.CharField(max_length=500, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True, help_text="when its current worker began")
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        verbose_name = "data set"
        ordering = ("-created_at",)
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "done", "failed"]), name="export_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(state="done", byte_size__isnull=False) & ~Q(sha256="")
                | ~Q(state="done") & Q(byte_size__isnull=True, sha256=""),
                name="export_is_done_with_its_file",
            ),
        ]
        indexes: ClassVar = [
            # the admin's list, newest first
            models.Index(fields=["-created_at"], name="export_newest"),
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_done(self) -> bool:
        return self.state == self.State.DONE

    @property
    def is_waiting(self) -> bool:
        return self.state in self.WAITING

    @property
    def path(self) -> Path:
        """The path of the file, also before it exists."""
        return Path(settings.EXPORTS_DIR) / f"{self.pk}.zip"

    @property
    def file_name(self) -> str:
        """The name of the downloaded file."""
        return f"cases-{self.created_at:%Y-%m-%d}-{self.format}-{str(self.pk)[:8]}.zip"

    @property
    def has_file(self) -> bool:
        """Whether the file can be downloaded: it exists and still has the size it was written with."""
        try:
            return self.is_done and self.path.stat().st_size == self.byte_size
        except OSError:
            return False

    def open_file(self) -> IO[bytes] | None:
        """Opens the file, or returns `None` if it is missing or no longer has the size it was written with."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return None
        if os.fstat(file.fileno()).st_size != self.byte_size:
            file.close()
            return None
        return file

    @property
    def progress_text(self) -> str:
        """The progress or the outcome, in words."""
        if self.state == self.State.QUEUED:
            return "Waiting for a worker"
        if self.state == self.State.RUNNING:
            is_last = self.total and self.done == self.total
            return "Finishing" if is_last else f"{self.done:,} of {self.total:,} cases"
        if self.state == self.State.FAILED:
            return self.error
        missing = f"; {self.missing:,} picture{pluralize(self.missing)} missing" if self.missing else ""
        return f"{self.total:,} case{pluralize(self.total)}{missing}"


@dataclass(frozen=True)
class PrecisionRow:
    """One row of the table of a `Quantization`. `accuracy` is None if it is not known."""

    name: str
    milliseconds: float
    compared: int
    agreement: float
    accuracy: float | None


class Quantization(models.Model):
    """How an int8 version compared with its base when it was made, on the machine that made it."""

    model_version = models.CharField(max_length=120, unique=True, help_text="the int8 version, name@version")
    base = models.CharField(max_length=120, help_text="the version that it was made from")
    processor = models.CharField(max_length=200)
    calibrated_on = models.CharField(max_length=60)
    compared = models.PositiveIntegerField(help_text="pictures that both answered")
    labelled = models.PositiveIntegerField(help_text="of these, pictures whose label reviewers have decided")
    flipped = models.PositiveIntegerField(help_text="pictures with another answer in int8 than in f32")
    precisions = models.JSONField(help_text="a `PrecisionResult` for each precision, f32 first")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "int8 version"
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.model_version

    def get_absolute_url(self) -> str:
        return reverse("admin:learning_quantization_change", args=[self.pk])

    @property
    def rows(self) -> list[PrecisionRow]:
        """The table: f32 first, int8 last."""
        return [
            PrecisionRow(
                name=one["name"],
                milliseconds=one["milliseconds"],
                compared=one["compared"],
                agreement=one["agree"] / one["compared"],
                accuracy=None if one["right"] is None or not self.labelled else one["right"] / self.labelled,
            )
            for one in self.precisions
        ]


class FlippedAnswer(models.Model):
    """A picture that int8 answers with another label than f32."""

    quantization = models.ForeignKey(Quantization, on_delete=models.CASCADE, related_name="flips")
    # If the picture is erased, its row is deleted with its file, and this row with it. If it is sent again before that,
    # all of them stay; see `predictions.erasing`.
    image = models.ForeignKey(Image, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    file_name = models.CharField(max_length=255, blank=True, help_text="in the folder, if the picture is not stored")
    thumbnail = models.BinaryField(blank=True, help_text="a JPEG, if the picture is not stored")
    known_label = models.CharField(max_length=200, blank=True, help_text="what reviewers decided")
    label = models.CharField(max_length=200, help_text="the answer in f32")
    score = models.FloatField()
    new_label = models.CharField(max_length=200, help_text="the answer in int8")
    new_score = models.FloatField()
    score_of_new = models.FloatField(help_text="what f32 gives the answer in int8")

    class Meta:
        ordering = ("pk",)

    def __str__(self) -> str:
        return f"{self.label} → {self.new_label}"


class InstalledModel(models.Model):
    """A model version in `MODELS_DIR`, as the admin sees it. It has no table.

    It gives the pages of versions their permissions, their entry in the list of applications, and the admin's log.
    """

    reference = models.CharField(max_length=120, primary_key=True, help_text="name@version")

    class Meta:
        managed = False
        verbose_name = "model"
        default_permissions = ("view",)
        permissions: ClassVar = [("activate_installedmodel", "Can activate models")]

    def __str__(self) -> str:
        return str(self.reference)
