"""Feedback belongs to an image: what is said about it reaches its case, whenever the case was opened."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def fill_image(apps, schema_editor):
    feedback = apps.get_model("feedback", "Feedback").objects.using(schema_editor.connection.alias)
    predictions = apps.get_model("predictions", "Prediction").objects.filter(pk=OuterRef("prediction"))
    feedback.filter(prediction__isnull=False).update(image=Subquery(predictions.values("image")))


class Migration(migrations.Migration):
    dependencies = [("feedback", "0001_squashed_0004_export")]

    operations = [
        migrations.AddField(
            model_name="feedback",
            name="image",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                help_text="the prediction's image: everything said about one image is counted together",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="feedback",
                to="predictions.image",
            ),
        ),
        migrations.RunPython(fill_image, migrations.RunPython.noop),
    ]
