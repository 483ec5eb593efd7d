"""Cases count people instead of statements, and propose labels."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import CharField, Count, F, Max, Q, Value
from django.db.models.functions import Cast, Coalesce, NullIf

BATCH = 1000  # cases


def count_people(apps, schema_editor):
    """Counts each author once, however often they sent the picture. Earlier statements name no sender."""
    alias = schema_editor.connection.alias
    cases = apps.get_model("review", "Case").objects.using(alias)
    statements = apps.get_model("feedback", "Feedback").objects.using(alias).filter(is_current=True)
    last = cases.aggregate(last=Max("pk"))["last"] or 0
    for start in range(1, last + 1, BATCH):
        batch = cases.filter(pk__gte=start, pk__lt=start + BATCH)
        batch.update(sender_count=F("weight"))
        _recount(batch, statements.filter(image__in=batch.values("image")).order_by())


def _recount(cases, statements):
    """Corrects the cases in which somebody has made several statements."""
    person = Coalesce(NullIf("author", Value("")), Cast("pk", CharField()))
    counted = statements.values_list("image").annotate(
        people=Count(person, distinct=True), wrong=Count(person, distinct=True, filter=Q(verdict="wrong"))
    )
    counted = counted.annotate(statements=Count("pk")).filter(statements__gt=F("people"))
    several = {image: (people, wrong) for image, people, wrong, _statements in counted}
    labels = (
        statements.filter(image__in=list(several)).exclude(expected_label="").values_list("image", "expected_label")
    )
    ranked = labels.annotate(people=Count(person, distinct=True), latest=Max("created_at")).order_by("people", "latest")
    expected = {image: label for image, label, _people, _latest in ranked}
    for case in cases.filter(image__in=list(several)):
        case.weight, case.wrong_count = several[case.image_id]
        case.sender_count = case.weight
        case.expected_label = expected.get(case.image_id, "")
        case.save()


class Migration(migrations.Migration):
    dependencies = [
        ("predictions", "0001_initial"),
        ("feedback", "0004_sender_and_expected_labels"),
        ("review", "0003_keys_of_writes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="case",
            name="case_is_decided_with_its_verdict",
        ),
        migrations.RemoveConstraint(
            model_name="decision",
            name="decision_kind_is_known",
        ),
        migrations.RemoveIndex(
            model_name="case",
            name="case_most_reported",
        ),
        migrations.RemoveIndex(
            model_name="case",
            name="case_by_predicted_label",
        ),
        migrations.RemoveIndex(
            model_name="case",
            name="case_by_expected_label",
        ),
        migrations.RemoveIndex(
            model_name="case",
            name="case_by_source",
        ),
        migrations.AddField(
            model_name="case",
            name="proposed_label",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what the picture shows, if no label says it",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="case",
            name="sender_count",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="the people, but all people of one network of API clients count as one",
            ),
        ),
        migrations.AddField(
            model_name="decision",
            name="proposed_label",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what the picture shows, if no label says it",
                max_length=200,
            ),
        ),
        migrations.AlterField(
            model_name="case",
            name="verdict",
            field=models.CharField(
                blank=True,
                choices=[
                    ("right", "Confirmed right"),
                    ("corrected", "Corrected"),
                    ("no-label", "No label fits"),
                    ("unusable", "Unusable"),
                ],
                max_length=9,
            ),
        ),
        migrations.AlterField(
            model_name="case",
            name="wrong_count",
            field=models.PositiveIntegerField(default=0, help_text="how many people say that an answer is wrong"),
        ),
        migrations.AlterField(
            model_name="decision",
            name="kind",
            field=models.CharField(
                choices=[
                    ("right", "Confirmed right"),
                    ("corrected", "Corrected"),
                    ("no-label", "No label fits"),
                    ("unusable", "Unusable"),
                    ("flagged", "Flagged"),
                    ("undo", "Undone"),
                    ("reopen", "Reopened"),
                ],
                max_length=9,
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "-sender_count", "-weight", "opened_at", "id"], name="case_most_reported"
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "predicted_label", "source", "model_version", "opened_at", "image"],
                name="case_by_predicted_label",
            ),
        ),
        migrations.AddIndex(
            model_name="case",
            index=models.Index(
                fields=["state", "source", "model_version", "opened_at", "image"], name="case_by_source"
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("decided_at__isnull", False),
                        ("decided_by__isnull", False),
                        ("state", "decided"),
                        models.Q(("verdict", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("state", "decided"), _negated=True),
                        ("decided_at__isnull", True),
                        ("decided_by__isnull", True),
                        ("label", ""),
                        ("proposed_label", ""),
                        ("verdict", ""),
                    ),
                    _connector="OR",
                ),
                name="case_is_decided_with_its_verdict",
            ),
        ),
        migrations.AddConstraint(
            model_name="case",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("label", ""), ("verdict", "no-label"), models.Q(("proposed_label", ""), _negated=True)),
                    models.Q(models.Q(("verdict", "no-label"), _negated=True), ("proposed_label", "")),
                    _connector="OR",
                ),
                name="case_proposes_a_label_if_none_fits",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind__in", ["right", "corrected", "no-label", "unusable", "flagged", "undo", "reopen"])
                ),
                name="decision_kind_is_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "no-label"), ("label", ""), models.Q(("proposed_label", ""), _negated=True)),
                    models.Q(models.Q(("kind", "no-label"), _negated=True), ("proposed_label", "")),
                    _connector="OR",
                ),
                name="decision_proposes_a_label_if_none_fits",
            ),
        ),
        migrations.RunPython(count_people, migrations.RunPython.noop),
    ]
