from django.db import migrations, models

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "HEIC"]


class Migration(migrations.Migration):
    dependencies = [("predictions", "0004_prediction_by_sender")]

    operations = [
        migrations.AlterField(
            model_name="image",
            name="format",
            field=models.CharField(choices=[(name, name.title()) for name in FORMATS], max_length=4),
        ),
        migrations.AlterField(
            model_name="image",
            name="width",
            field=models.PositiveIntegerField(help_text="pixels, as the file's header says"),
        ),
        migrations.AlterField(
            model_name="image",
            name="height",
            field=models.PositiveIntegerField(help_text="pixels, as the file's header says"),
        ),
    ]
