from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0005_erasing")]

    operations = [
        migrations.AddIndex(
            model_name="feedback",
            index=models.Index(fields=["author", "image"], condition=~models.Q(author=""), name="feedback_by_author"),
        ),
    ]
