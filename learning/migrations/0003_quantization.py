import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("learning", "0002_own_tables"),
        ("predictions", "0006_merged_visitor"),
    ]

    operations = [
        migrations.CreateModel(
            name="Quantization",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "model_version",
                    models.CharField(help_text="the int8 version, name@version", max_length=120, unique=True),
                ),
                ("base", models.CharField(help_text="the version that it was made from", max_length=120)),
                ("processor", models.CharField(max_length=200)),
                ("calibrated_on", models.CharField(max_length=60)),
                ("compared", models.PositiveIntegerField(help_text="pictures that both answered")),
                (
                    "labelled",
                    models.PositiveIntegerField(help_text="of these, pictures whose label reviewers have decided"),
                ),
                ("flipped", models.PositiveIntegerField(help_text="pictures with another answer in int8 than in f32")),
                ("precisions", models.JSONField(help_text="a `PrecisionResult` for each precision, f32 first")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={
                "verbose_name": "int8 version",
                "ordering": ("-created_at",),
            },
        ),
        migrations.CreateModel(
            name="FlippedAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "file_name",
                    models.CharField(
                        blank=True, help_text="in the folder, if the picture is not stored", max_length=255
                    ),
                ),
                ("thumbnail", models.BinaryField(blank=True, help_text="a JPEG, if the picture is not stored")),
                ("known_label", models.CharField(blank=True, help_text="what reviewers decided", max_length=200)),
                ("label", models.CharField(help_text="the answer in f32", max_length=200)),
                ("score", models.FloatField()),
                ("new_label", models.CharField(help_text="the answer in int8", max_length=200)),
                ("new_score", models.FloatField()),
                ("score_of_new", models.FloatField(help_text="what f32 gives the answer in int8")),
                (
                    "image",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="predictions.image",
                    ),
                ),
                (
                    "quantization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="flips", to="learning.quantization"
                    ),
                ),
            ],
            options={
                "ordering": ("pk",),
            },
        ),
    ]
