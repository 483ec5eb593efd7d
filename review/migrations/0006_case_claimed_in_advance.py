from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column that may be empty: no database rewrites the table for it."""

    dependencies = [("review", "0005_erasing")]

    operations = [
        migrations.AddField(
            model_name="case",
            name="claimed_in_advance",
            field=models.BooleanField(
                blank=True, help_text="a page has loaded the case, and nobody looks at it yet", null=True
            ),
        ),
    ]
