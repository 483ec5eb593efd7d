"""The rows of images, of their embeddings, of predictions and of merged visitors."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db import connections, models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

SCORE_DIGITS = 4  # after the point, of the scores that the API and the pages show


def image_path(image: "Image", file_name: str) -> str:
    """Returns where an image's bytes are stored: under their hash, never under a name from outside."""
    return f"images/{image.sha256[:2]}/{image.sha256}.{image.format.lower()}"


class ImageQuerySet(models.QuerySet["Image"]):
    def being_erased(self) -> "ImageQuerySet":
        """Erased images whose files may still be stored; see `erasing`."""
        return self.filter(erased_at__isnull=False).exclude(file="")


class Image(models.Model):
    """One distinct picture, identified by the SHA-256 of its bytes. It is stored once, however often it is sent.

    An erased picture leaves a row without file and hash for its predictions and its case; see `erasing`.
    """

    class Format(models.TextChoices):
        JPEG = "JPEG"
        PNG = "PNG"
        GIF = "GIF"
        WEBP = "WEBP"
        BMP = "BMP"
        TIFF = "TIFF"
        AVIF = "AVIF"
        HEIC = "HEIC"

    sha256 = models.CharField(max_length=64, unique=True)
    file = models.FileField(upload_to=image_path, max_length=120)
    format = models.CharField(max_length=4, choices=Format)
    width = models.PositiveIntegerField(help_text="pixels, as the file's header says")
    height = models.PositiveIntegerField(help_text="pixels, as the file's header says")
    byte_size = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    erased_at = models.DateTimeField(null=True, blank=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        permissions: ClassVar = [("erase_image", "Can erase pictures")]
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="image_has_pixels"),
        ]
        indexes: ClassVar = [
            # the few images whose erasure is not finished: workers ask for them every few seconds
            models.Index(fields=["id"], condition=Q(erased_at__isnull=False) & ~Q(file=""), name="image_being_erased"),
        ]

    def __str__(self) -> str:
        if self.is_erased:
            return f"erased picture {self.pk}"
        return f"{self.sha256[:12]} ({self.format}, {self.width} x {self.height})"

    @property
    def is_erased(self) -> bool:
        return self.erased_at is not None

    @property
    def content_type(self) -> str:
        return f"image/{self.format.lower()}"


class Embedding(models.Model):
    """The features of one image under one backbone. `vector`: float16, little-endian."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="embeddings")
    backbone = models.CharField(max_length=64, help_text="see `worker.inference.graph.head.backbone_id`")
    vector = models.BinaryField()

    class Meta:
        constraints: ClassVar = [
            # The backbone comes first: its rows are counted, and read in the order of their images.
            models.UniqueConstraint(fields=["backbone", "image"], name="embedding_is_stored_once"),
        ]

    def __str__(self) -> str:
        return f"image {self.image_id} under {self.backbone}"


class PredictionQuerySet(models.QuerySet["Prediction"]):
    def waiting(self) -> "PredictionQuerySet":
        """Queued and running predictions."""
        return self.filter(state__in=Prediction.WAITING)

    def not_erased(self) -> "PredictionQuerySet":
        return self.filter(erased_at__isnull=True)

    def of_sender(self, visitor: str) -> "PredictionQuerySet":
        """What a visitor has sent and not deleted. An unknown visitor, the empty string, has sent nothing."""
        # SQLite uses the index only if the condition of the index is in the query, too.
        return self.filter(~Q(sender=""), sender=visitor) if visitor else self.none()

    def answered_by(self, model_version: str) -> "PredictionQuerySet":
        """What a version, `name@version`, has answered."""
        # SQLite uses the index only if the condition of the index is in the query, too.
        return self.filter(~Q(model_version=""), model_version=model_version)

    def update_each(self, columns: Mapping[uuid.UUID, Mapping[str, Any]]) -> list[uuid.UUID]:
        """Sets different values in each of these rows, for the same columns. Returns the ids of the updated rows.

        Rows outside this query set are left alone. Call it in a transaction. One statement is prepared and executed
        for each row: Django's `bulk_update` builds one expression of all values, and building it takes longer than
        running it.
        """
        if not columns:
            return []
        connection, options = connections[self.db], self.model._meta
        # The rows are locked until the end of the transaction, so that they still match the query set when written.
        ids = list(self.filter(pk__in=columns).select_for_update(of=("self",)).values_list("pk", flat=True))
        by_name = {field.name: field for field in options.concrete_fields}
        fields = [by_name[name] for name in next(iter(columns.values()))]
        key = by_name["id"]
        table, *names = (
            connection.ops.quote_name(str(name)) for name in [options.db_table, *(f.column for f in [*fields, key])]
        )
        assignments = ", ".join(f"{name} = %s" for name in names[:-1])
        statement = f"UPDATE {table} SET {assignments} WHERE {names[-1]} = %s"  # noqa: S608 - our own model's names
        rows = [
            [
                *(field.get_db_prep_save(columns[row_id][field.name], connection) for field in fields),
                key.get_db_prep_save(row_id, connection),
            ]
            for row_id in ids
        ]
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
        return ids


class Prediction(models.Model):
    """One request to classify one image, with its state and its answer.

    The state moves only forward and settles only once. Every change of it is a conditional `UPDATE` (see `submission`
    and `answering`), so two workers with the same job cannot both answer.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        EXPIRED = "expired", "Expired"
        CANCELLED = "cancelled", "Cancelled"

    WAITING: ClassVar = (State.QUEUED, State.RUNNING)

    # Below it, all other labels together are more likely than the best one. Pages then say "perhaps".
    UNCERTAIN_BELOW: ClassVar = 0.5

    # Error codes of failures that are the site's fault; all others are about the picture.
    QUEUE_UNAVAILABLE: ClassVar = "queue-unavailable"
    CLASSIFICATION_FAILED: ClassVar = "classification-failed"

    class Source(models.TextChoices):
        PAGE = "page", "Web page"
        API = "api", "API"
        LEGACY = "old", "Legacy client"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="predictions")
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    source = models.CharField(max_length=4, choices=Source)
    file_name = models.CharField(max_length=255, blank=True, help_text="as uploaded; for display only")
    sender = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="the visitor who sent it; see `visitors`",
    )

    label = models.CharField(max_length=200, blank=True)
    score = models.FloatField(null=True, blank=True, help_text="probability of the label, 0 to 1")
    top = models.JSONField(default=list, blank=True, help_text="the best [label, score] pairs, best first")
    model_version = models.CharField(max_length=120, blank=True, help_text="name@version that answered")
    precision = models.CharField(
        max_length=4,
        blank=True,
        default="",
        db_default="",
        help_text="f32, bf16 or int8: what the answer was computed in; empty if an earlier release answered",
    )
    error_code = models.CharField(max_length=40, blank=True)
    error = models.CharField(max_length=500, blank=True)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="the answer is discarded after this time")
    decode_ms = models.FloatField(null=True, blank=True)
    compute_ms = models.FloatField(null=True, blank=True)
    erased_at = models.DateTimeField(
        null=True, blank=True, help_text="deleted by its sender, or erased with its picture; see `erasing`"
    )

    objects = PredictionQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        get_latest_by = "created_at"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "done", "failed", "expired", "cancelled"]),
                name="prediction_state_is_known",
            ),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | Q(score__gte=0, score__lte=1),
                name="prediction_score_is_a_probability",
            ),
            models.CheckConstraint(
                condition=Q(state="done", score__isnull=False, finished_at__isnull=False)
                & ~Q(label="")
                & ~Q(model_version="")
                | ~Q(state="done") & Q(score__isnull=True, label=""),
                name="prediction_is_done_with_its_answer",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running"]) | Q(finished_at__isnull=False),
                name="prediction_settled_has_its_time",
            ),
        ]
        indexes: ClassVar = [
            # the admin's list and date hierarchy: newest first
            models.Index(fields=["-created_at"], name="prediction_newest"),
            # recovery: waiting predictions, oldest first; and the admin's filter by state
            models.Index(fields=["state", "created_at"], name="prediction_by_state"),
            # the admin's filter and search by label
            models.Index(fields=["label", "-created_at"], name="prediction_by_label"),
            # the admin's search for the beginning of a file name
            models.Index(fields=["file_name"], name="prediction_by_file_name", opclasses=["varchar_pattern_ops"]),
            # a visitor's history: newest first
            models.Index(fields=["sender", "-created_at", "-id"], condition=~Q(sender=""), name="prediction_by_sender"),
            # how many predictions each model version has answered, and its latest ones
            models.Index(
                fields=["model_version", "-created_at"], condition=~Q(model_version=""), name="prediction_by_version"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.score:.2f})" if self.is_done else self.get_state_display()

    def get_absolute_url(self) -> str:
        return reverse("predictions:result", args=[self.id])

    @property
    def is_done(self) -> bool:
        return self.state == self.State.DONE

    @property
    def is_uncertain(self) -> bool:
        """Whether the answer is more likely wrong than right, by its own score."""
        return self.score is not None and self.score < self.UNCERTAIN_BELOW

    @property
    def is_waiting(self) -> bool:
        return self.state in self.WAITING

    @property
    def is_erased(self) -> bool:
        return self.erased_at is not None

    @property
    def is_our_failure(self) -> bool:
        return self.error_code in {self.QUEUE_UNAVAILABLE, self.CLASSIFICATION_FAILED}

    @property
    def age_seconds(self) -> float:
        """Seconds since the request."""
        return max(0.0, (timezone.now() - self.created_at).total_seconds())

    @property
    def queue_ms(self) -> float | None:
        """Milliseconds between the request and the start of its classification."""
        return _milliseconds(self.created_at, self.started_at)

    @property
    def total_ms(self) -> float | None:
        return _milliseconds(self.created_at, self.finished_at)


class MergedVisitor(models.Model):
    """A visitor whose history was merged into that of another visitor, who was not merged themselves.

    Cookies and private links of the merged visitor stand for the other one from then on; see `visitors`.
    """

    visitor = models.CharField(max_length=64, unique=True)
    into = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["into"], name="merged_visitor_by_into")]

    def __str__(self) -> str:
        return f"{self.visitor[:12]} into {self.into[:12]}"


class PrecisionMeasurementQuerySet(models.QuerySet["PrecisionMeasurement"]):
    def failed(self) -> "PrecisionMeasurementQuerySet":
        return self.filter(bf16_ms__isnull=True)


class PrecisionMeasurement(models.Model):
    """What a model version takes and answers in f32 and in bf16 on one kind of processor; see `precision`.

    Machines that share the database use what another of the same kind has measured.
    """

    processor = models.CharField(max_length=200)
    features = models.CharField(max_length=200, blank=True, help_text="of the processor, separated by blanks")
    openvino = models.CharField(max_length=100, help_text="the version of OpenVINO")
    model_version = models.CharField(max_length=120, help_text="name@version")
    weights_sha256 = models.CharField(
        max_length=64, help_text="of model.bin: another models folder may hold other weights under this name"
    )

    f32_ms = models.FloatField(null=True, help_text="CPU time of one image, the median; null if measuring failed")
    bf16_ms = models.FloatField(null=True, help_text="CPU time of one image, the median; null if measuring failed")
    images = models.PositiveIntegerField(help_text="how many images were computed in both precisions")
    flips = models.PositiveIntegerField(help_text="how many of them get another label in bf16")
    largest_gap = models.FloatField(help_text="between the f32 probabilities of the two labels of a flip")
    chosen = models.CharField(max_length=4, help_text="f32 or bf16")
    objection = models.CharField(
        max_length=400, blank=True, help_text="the reason against bf16: a sentence without its subject"
    )
    measured_at = models.DateTimeField(default=timezone.now)

    objects = PrecisionMeasurementQuerySet.as_manager()

    class Meta:
        ordering = ("-measured_at",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["model_version", "weights_sha256", "processor", "features", "openvino"],
                name="precision_measured_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model_version} on {self.processor}: {self.chosen}"

    @property
    def failed(self) -> bool:
        """Whether bf16 could not be measured. `objection` says why."""
        return self.bf16_ms is None


def _milliseconds(start: datetime, end: datetime | None) -> float | None:
    # Never negative: the clocks of two machines may disagree, and a clock may be set.
    return None if end is None else max(0.0, round((end - start).total_seconds() * 1000, 1))
