from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("predictions", "0006_merged_visitor")]

    operations = [
        migrations.AddField(
            "prediction",
            "precision",
            models.CharField(
                max_length=4,
                blank=True,
                default="",
                db_default="",
                help_text="f32, bf16 or int8: what the answer was computed in; empty if an earlier release answered",
            ),
        ),
        migrations.CreateModel(
            name="PrecisionMeasurement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("processor", models.CharField(max_length=200)),
                (
                    "features",
                    models.CharField(blank=True, help_text="of the processor, separated by blanks", max_length=200),
                ),
                ("openvino", models.CharField(help_text="the version of OpenVINO", max_length=100)),
                ("model_version", models.CharField(help_text="name@version", max_length=120)),
                (
                    "weights_sha256",
                    models.CharField(
                        help_text="of model.bin: another models folder may hold other weights under this name",
                        max_length=64,
                    ),
                ),
                (
                    "f32_ms",
                    models.FloatField(
                        help_text="CPU time of one image, the median; null if measuring failed", null=True
                    ),
                ),
                (
                    "bf16_ms",
                    models.FloatField(
                        help_text="CPU time of one image, the median; null if measuring failed", null=True
                    ),
                ),
                ("images", models.PositiveIntegerField(help_text="how many images were computed in both precisions")),
                ("flips", models.PositiveIntegerField(help_text="how many of them get another label in bf16")),
                (
                    "largest_gap",
                    models.FloatField(help_text="between the f32 probabilities of the two labels of a flip"),
                ),
                ("chosen", models.CharField(help_text="f32 or bf16", max_length=4)),
                (
                    "objection",
                    models.CharField(
                        blank=True, help_text="the reason against bf16: a sentence without its subject", max_length=400
                    ),
                ),
                ("measured_at", models.DateTimeField(default=timezone.now)),
            ],
            options={
                "ordering": ("-measured_at",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=["model_version", "weights_sha256", "processor", "features", "openvino"],
                        name="precision_measured_once",
                    )
                ],
            },
        ),
    ]
