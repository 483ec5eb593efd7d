"""The table of feedback, as it was before cases had a package of their own."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [("predictions", "0001_initial"), ("review", "0001_initial")]

    # A database in which these have run has this table already. `review` replaces 0002, and `learning` replaces 0004.
    replaces = [
        ("feedback", "0001_initial"),
        ("feedback", "0003_roles_and_earlier_feedback"),
    ]

    operations = [
        migrations.CreateModel(
            name="Feedback",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[("wrong", "Wrong"), ("right", "Right"), ("unsure", "Not sure")],
                        max_length=6,
                    ),
                ),
                (
                    "expected_label",
                    models.CharField(
                        blank=True, help_text="what it should have been: one of the model's labels", max_length=200
                    ),
                ),
                (
                    "expected_words",
                    models.CharField(
                        blank=True, help_text="what it should have been, where no label says it", max_length=200
                    ),
                ),
                ("comment", models.TextField(blank=True)),
                (
                    "author",
                    models.CharField(blank=True, editable=False, help_text="who says so; see `authors`", max_length=64),
                ),
                (
                    "is_current",
                    models.BooleanField(
                        default=True, editable=False, help_text="not replaced by what its author said later"
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("mirrored_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "case",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="statements",
                        to="review.case",
                    ),
                ),
                (
                    "prediction",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="feedback",
                        to="predictions.prediction",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "feedback",
                "ordering": ("-created_at",),
            },
        ),
        migrations.AddIndex(
            model_name="feedback",
            index=models.Index(fields=["created_at", "verdict", "prediction"], name="feedback_by_day"),
        ),
        migrations.AddIndex(
            model_name="feedback",
            index=models.Index(
                condition=models.Q(("mirrored_at__isnull", True)), fields=["id"], name="feedback_not_mirrored"
            ),
        ),
        migrations.AddConstraint(
            model_name="feedback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("prediction__isnull", True), ("verdict", "")),
                    models.Q(("prediction__isnull", False), models.Q(("verdict", ""), _negated=True)),
                    _connector="OR",
                ),
                name="feedback_on_a_prediction_has_a_verdict",
            ),
        ),
        migrations.AddConstraint(
            model_name="feedback",
            constraint=models.CheckConstraint(
                condition=models.Q(("verdict__in", ["", "wrong", "right", "unsure"])), name="feedback_verdict_is_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="feedback",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_current", True), models.Q(("author", ""), _negated=True)),
                fields=("prediction", "author"),
                name="feedback_one_current_of_each_author",
            ),
        ),
    ]
