"""The two roles; and cases for what people said before there were cases."""

from django.db import migrations
from django.utils import timezone

from feedback.roles import create_roles


def make_roles(apps, schema_editor):
    create_roles(apps)


def open_cases(apps, schema_editor):
    Case, Feedback = apps.get_model("feedback", "Case"), apps.get_model("feedback", "Feedback")
    complaints = Feedback.objects.filter(prediction__isnull=False, verdict__in=["wrong", "unsure"])
    for complaint in complaints.select_related("prediction").order_by("-pk").iterator():
        prediction = complaint.prediction
        if Case.objects.filter(image_id=prediction.image_id).exists():
            continue
        scores = [score for _label, score in prediction.top]
        statements = Feedback.objects.filter(prediction__image_id=prediction.image_id)
        verdicts = list(statements.values_list("verdict", flat=True))
        case = Case.objects.create(
            image_id=prediction.image_id,
            prediction=prediction,
            source="feedback",
            opened_at=timezone.now(),
            predicted_label=prediction.label,
            score=prediction.score,
            margin=max(0.0, scores[0] - scores[1]) if len(scores) > 1 else 1.0,
            model_version=prediction.model_version,
            weight=len(verdicts),
            wrong_count=verdicts.count("wrong"),
            is_disputed="wrong" in verdicts,
            # Free words until now: those that are no label are shown beside it all the same.
            expected_label=complaint.expected_label,
            last_statement_at=complaint.created_at,
        )
        statements.update(case=case)


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0002_cases"),
        ("predictions", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunPython(open_cases, migrations.RunPython.noop),
    ]
