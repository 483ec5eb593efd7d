from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("predictions", "0005_image_formats")]

    operations = [
        migrations.CreateModel(
            name="MergedVisitor",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("visitor", models.CharField(max_length=64, unique=True)),
                ("into", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(default=timezone.now)),
            ],
            options={"indexes": [models.Index(fields=["into"], name="merged_visitor_by_into")]},
        ),
    ]
