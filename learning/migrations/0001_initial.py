"""The table of data sets, as it was in the package `feedback`. `0002` gives it its own name."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # A database in which these have run has this table already.
    replaces = [
        ("feedback", "0004_export"),
    ]

    operations = [
        migrations.CreateModel(
            name="Export",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "format",
                    models.CharField(
                        choices=[
                            ("imagefolder", "ImageFolder: one folder of pictures for each label"),
                            ("tfrecord", "TFRecord: one file, for tf.data"),
                        ],
                        max_length=11,
                    ),
                ),
                (
                    "selection",
                    models.JSONField(default=dict, help_text="which of the decided cases; see `CaseSelection`"),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("queued", "Queued"), ("running", "Running"), ("done", "Done"), ("failed", "Failed")],
                        default="queued",
                        max_length=7,
                    ),
                ),
                ("total", models.PositiveIntegerField(default=0, help_text="cases")),
                ("done", models.PositiveIntegerField(default=0, help_text="cases written so far")),
                (
                    "missing",
                    models.PositiveIntegerField(
                        default=0, help_text="pictures that are no longer stored, or are damaged"
                    ),
                ),
                ("byte_size", models.PositiveBigIntegerField(blank=True, null=True)),
                ("sha256", models.CharField(blank=True, max_length=64, verbose_name="SHA-256")),
                ("error", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "started_at",
                    models.DateTimeField(blank=True, help_text="when its current worker began", null=True),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name": "data set",
                "db_table": "feedback_export",
                "ordering": ("-created_at",),
                "indexes": [models.Index(fields=["-created_at"], name="export_newest")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["queued", "running", "done", "failed"])),
                        name="export_state_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("byte_size__isnull", False), ("state", "done"), models.Q(("sha256", ""), _negated=True)
                            ),
                            models.Q(
                                models.Q(("state", "done"), _negated=True), ("byte_size__isnull", True), ("sha256", "")
                            ),
                            _connector="OR",
                        ),
                        name="export_is_done_with_its_file",
                    ),
                ],
            },
        ),
    ]
