"""Names the tables of the reviewing desk after this package. Permissions and log entries follow their content types."""

from django.db import migrations

MODELS = ("case", "decision", "skip")


def move_content_types(apps, schema_editor):
    _relabel(apps, schema_editor, "feedback", "review")


def move_content_types_back(apps, schema_editor):
    _relabel(apps, schema_editor, "review", "feedback")


def _relabel(apps, schema_editor, old, new):
    content_types = apps.get_model("contenttypes", "ContentType").objects
    content_types.using(schema_editor.connection.alias).filter(app_label=old, model__in=MODELS).update(app_label=new)


class Migration(migrations.Migration):
    dependencies = [
        ("review", "0001_initial"),
        ("feedback", "0003_remove_feedback_case"),  # that column referred to the old table
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        *(migrations.AlterModelTable(name=model, table=None) for model in MODELS),
        migrations.RunPython(move_content_types, move_content_types_back),
    ]
