from django.conf import settings
from django.db import migrations, models
from django.db.models import Count


def mark_cases(apps, schema_editor):
    """Marks the cases in which people expect several labels."""
    statements = apps.get_model("feedback", "Feedback").objects.filter(is_current=True).exclude(expected_label="")
    labels = statements.order_by().values("image").annotate(labels=Count("expected_label", distinct=True))
    cases = apps.get_model("review", "Case").objects.filter(image__in=labels.filter(labels__gt=1).values("image"))
    cases.update(has_other_expected_labels=True)


class Migration(migrations.Migration):
    """Adds a column that may be empty: no database rewrites the table for it."""

    dependencies = [
        ("feedback", "0005_erasing"),
        ("predictions", "0003_prediction_by_file_name"),
        ("review", "0006_case_claimed_in_advance"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="case",
            name="has_other_expected_labels",
            field=models.BooleanField(
                blank=True, help_text="some people expect a label other than the expected one", null=True
            ),
        ),
        migrations.RemoveIndex(model_name="case", name="case_expected_label"),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "expected_label", "has_other_expected_labels"], name="case_by_expected_label"
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                condition=models.Q(("has_other_expected_labels", True)),
                fields=["state", "image"],
                name="case_other_expected_labels",
            ),
        ),
        migrations.RunPython(mark_cases, migrations.RunPython.noop),
    ]
