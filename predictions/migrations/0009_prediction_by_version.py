from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0008_embedding")]

    operations = [
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(
                fields=["model_version", "-created_at"],
                condition=~models.Q(model_version=""),
                name="prediction_by_version",
            ),
        ),
    ]
