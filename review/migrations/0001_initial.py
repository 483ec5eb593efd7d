"""The tables of the reviewing desk, as they were in the package `feedback`. `0002` gives them their own names."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("predictions", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    # A database in which this has run has these tables already. No two migrations may replace the same one: while only
    # one of the two is applied, Django takes the other for half applied and refuses to load it.
    replaces = [
        ("feedback", "0002_cases"),
    ]

    operations = [
        migrations.CreateModel(
            name="Case",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "source",
                    models.CharField(
                        choices=[("feedback", "Feedback"), ("low-score", "Low score"), ("audit", "Audit sample")],
                        help_text="what opened it first",
                        max_length=9,
                    ),
                ),
                (
                    "in_audit",
                    models.BooleanField(
                        default=False, help_text="in the random sample of all pictures, with or without feedback"
                    ),
                ),
                ("opened_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("predicted_label", models.CharField(max_length=200)),
                ("score", models.FloatField(help_text="probability of the predicted label, 0 to 1")),
                (
                    "margin",
                    models.FloatField(help_text="probability of the best label minus that of the second best, 0 to 1"),
                ),
                ("model_version", models.CharField(max_length=120)),
                (
                    "weight",
                    models.PositiveIntegerField(default=0, help_text="how many people gave feedback on this picture"),
                ),
                ("wrong_count", models.PositiveIntegerField(default=0)),
                ("is_disputed", models.BooleanField(default=False, help_text="somebody says that the answer is wrong")),
                (
                    "expected_label",
                    models.CharField(blank=True, help_text="the label that most people expect", max_length=200),
                ),
                ("last_statement_at", models.DateTimeField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("decided", "Decided"), ("flagged", "Flagged")],
                        default="open",
                        max_length=7,
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        blank=True,
                        choices=[("right", "Confirmed right"), ("corrected", "Corrected"), ("unusable", "Unusable")],
                        max_length=9,
                    ),
                ),
                (
                    "label",
                    models.CharField(blank=True, help_text="the label that a reviewer decided on", max_length=200),
                ),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                (
                    "decision_count",
                    models.PositiveIntegerField(default=0, help_text="all rows of its history, including undone ones"),
                ),
                ("claimed_until", models.DateTimeField(blank=True, null=True)),
                (
                    "claimed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="claimed_cases",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "image",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="case", to="predictions.image"
                    ),
                ),
                (
                    "prediction",
                    models.ForeignKey(
                        help_text="the answer under review",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="predictions.prediction",
                    ),
                ),
            ],
            options={
                "db_table": "feedback_case",
                "permissions": [
                    ("decide_case", "Can decide cases"),
                    ("reopen_case", "Can reopen decided cases"),
                    ("view_statistics", "Can see the statistics"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(help_text="1, 2, 3... within its case")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("right", "Confirmed right"),
                            ("corrected", "Corrected"),
                            ("unusable", "Unusable"),
                            ("flagged", "Flagged"),
                            ("undo", "Undone"),
                            ("reopen", "Reopened"),
                        ],
                        max_length=9,
                    ),
                ),
                ("label", models.CharField(blank=True, max_length=200)),
                ("note", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "bulk",
                    models.UUIDField(
                        blank=True, db_index=True, help_text="the same for all decisions of one bulk write", null=True
                    ),
                ),
                ("predicted_label", models.CharField(max_length=200)),
                ("score", models.FloatField()),
                ("model_version", models.CharField(max_length=120)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="review.case"
                    ),
                ),
                (
                    "prediction",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="predictions.prediction"
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "undoes",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="undone_by",
                        to="review.decision",
                    ),
                ),
            ],
            options={
                "db_table": "feedback_decision",
                "ordering": ("case", "number"),
            },
        ),
        migrations.CreateModel(
            name="Skip",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "case",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="skips", to="review.case"
                    ),
                ),
                (
                    "reviewer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "db_table": "feedback_skip",
            },
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "-weight", "opened_at", "id"], name="case_most_reported"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "-is_disputed", "-score", "id"], name="case_confidently_wrong"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "margin", "id"], name="case_smallest_margin"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "opened_at", "id"], name="case_oldest"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "predicted_label"], name="case_predicted_label"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "expected_label"], name="case_expected_label"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "predicted_label", "expected_label", "source", "model_version", "opened_at"],
                name="case_by_predicted_label",
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "expected_label", "predicted_label", "source", "model_version", "opened_at"],
                name="case_by_expected_label",
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "source", "model_version", "opened_at"], name="case_by_source"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "label"], name="case_by_label"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(fields=["state", "verdict"], name="case_by_verdict"),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                condition=models.Q(("claimed_until__isnull", False)), fields=["claimed_until"], name="case_claimed"
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("state", "decided"),
                        models.Q(("verdict", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("state", "decided"), _negated=True),
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("label", ""),
                        ("verdict", ""),
                    ),
                    _connector="OR",
                ),
                name="case_is_decided_with_its_verdict",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("verdict__in", ["right", "corrected"]), _negated=True),
                    models.Q(("label", ""), _negated=True),
                    _connector="OR",
                ),
                name="case_has_a_label_or_is_unusable",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "decided", "flagged"])), name="case_state_is_known"
            ),
        ),
        migrations.AddIndex(
            model_name="decision",
            index=models.Index(fields=["reviewer", "-id"], name="decision_newest_of_reviewer"),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(fields=("case", "number"), name="decision_numbers_are_unique"),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["right", "corrected", "unusable", "flagged", "undo", "reopen"])),
                name="decision_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "undo"), ("undoes__isnull", False)),
                    models.Q(models.Q(("kind", "undo"), _negated=True), ("undoes__isnull", True)),
                    _connector="OR",
                ),
                name="decision_undo_names_what_it_undoes",
            ),
        ),
        migrations.AddConstraint(
            model_name="skip",
            constraint=models.UniqueConstraint(fields=("reviewer", "case"), name="skip_once_for_each_reviewer"),
        ),
    ]
