from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("review", "0008_label_mappings"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                condition=models.Q(("label_set__isnull", False)), fields=["state"], name="case_returned"
            ),
        ),
    ]
