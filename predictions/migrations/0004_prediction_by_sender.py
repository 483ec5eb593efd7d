from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0003_prediction_by_file_name")]

    operations = [
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(
                fields=["sender", "-created_at", "-id"],
                condition=~models.Q(sender=""),
                name="prediction_by_sender",
            ),
        ),
    ]
