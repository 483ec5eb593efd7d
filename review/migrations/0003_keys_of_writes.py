from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("review", "0002_own_tables")]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="key",
            field=models.UUIDField(
                blank=True, help_text="of the write that stored it; a retry has the same key", null=True
            ),
        ),
        migrations.AddField(
            model_name="skip",
            name="key",
            field=models.UUIDField(
                blank=True, help_text="of the write that stored it; a retry has the same key", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(fields=("reviewer", "key", "case"), name="decision_once_for_each_key"),
        ),
    ]
