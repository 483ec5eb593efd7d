from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0002_erasing")]

    operations = [
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(fields=["file_name"], name="prediction_by_file_name", opclasses=["varchar_pattern_ops"]),
        ),
    ]
