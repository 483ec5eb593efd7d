from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_feedback_image")]

    operations = [
        migrations.RemoveField(model_name="feedback", name="case"),
        migrations.AddConstraint(
            model_name="feedback",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("image__isnull", True), ("prediction__isnull", True)),
                    models.Q(("image__isnull", False), ("prediction__isnull", False)),
                    _connector="OR",
                ),
                name="feedback_has_the_image_of_its_prediction",
            ),
        ),
    ]
