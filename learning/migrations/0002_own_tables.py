"""Names the table of data sets after this package. Permissions and log entries follow their content types."""

from django.db import migrations

MODELS = ("export",)


def move_content_types(apps, schema_editor):
    _relabel(apps, schema_editor, "feedback", "learning")


def move_content_types_back(apps, schema_editor):
    _relabel(apps, schema_editor, "learning", "feedback")


def _relabel(apps, schema_editor, old, new):
    content_types = apps.get_model("contenttypes", "ContentType").objects
    content_types.using(schema_editor.connection.alias).filter(app_label=old, model__in=MODELS).update(app_label=new)


class Migration(migrations.Migration):
    dependencies = [
        ("learning", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        *(migrations.AlterModelTable(name=model, table=None) for model in MODELS),
        migrations.RunPython(move_content_types, move_content_types_back),
    ]
