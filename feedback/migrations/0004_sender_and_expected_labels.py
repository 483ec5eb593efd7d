"""API clients of one network count as one sender; the queue counts the labels that people expect."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0003_remove_feedback_case"),
        ("predictions", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="feedback",
            name="sender",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="the network of an API client, whatever authors it names; see `authors`",
                max_length=64,
            ),
        ),
        migrations.AddIndex(
            model_name="feedback",
            index=models.Index(
                condition=models.Q(("is_current", True), models.Q(("expected_label", ""), _negated=True)),
                fields=["expected_label", "image"],
                name="feedback_expected_label",
            ),
        ),
    ]
