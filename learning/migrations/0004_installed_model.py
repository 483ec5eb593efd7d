from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("learning", "0003_quantization")]

    operations = [
        migrations.CreateModel(
            name="InstalledModel",
            fields=[
                (
                    "reference",
                    models.CharField(help_text="name@version", max_length=120, primary_key=True, serialize=False),
                ),
            ],
            options={
                "verbose_name": "model",
                "permissions": [("activate_installedmodel", "Can activate models")],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
