import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds columns that may be empty: no database rewrites the tables for them."""

    dependencies = [
        ("review", "0007_other_expected_labels"),
    ]

    operations = [
        migrations.CreateModel(
            name="LabelSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "fingerprint",
                    models.CharField(
                        help_text="of the labels; see `worker.inference.repository.fingerprint`",
                        max_length=64,
                        unique=True,
                    ),
                ),
                (
                    "labels",
                    models.JSONField(help_text="[id, display name] of each label, and its name if that is another"),
                ),
                (
                    "versions",
                    models.JSONField(
                        default=list, help_text="name@version of the model versions that have these labels"
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="case",
            name="label_set",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="the labels it was decided with or came back for, if not those of the version that answered",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="review.labelset",
            ),
        ),
        migrations.AddField(
            model_name="decision",
            name="label_set",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="the labels it was decided with, if not those of the version that answered",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="review.labelset",
            ),
        ),
        migrations.CreateModel(
            name="LabelMapping",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rows", models.JSONField(help_text="[change, old label, [new labels]] of each changed label")),
                ("stored_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "new",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="review.labelset"
                    ),
                ),
                (
                    "old",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="review.labelset"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("old", "new"), name="label_mapping_once_for_each_pair"),
                    models.CheckConstraint(
                        condition=models.Q(("old", models.F("new")), _negated=True),
                        name="label_mapping_is_between_two_sets",
                    ),
                ],
            },
        ),
    ]
