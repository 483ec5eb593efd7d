"""The two roles; and for what people said before there were cases: labels told from other words, and cases."""

from itertools import groupby, islice
from pathlib import Path

from django.db import migrations
from django.db.models import F, OuterRef, Subquery

from feedback.roles import create_roles

CHUNK = 500

# Those of every model that could be installed until now.
LABELS = Path(__file__).resolve().parents[2] / "worker" / "data" / "imagenet_labels.tsv"


def make_roles(apps, schema_editor):
    create_roles(apps)


def tell_words_from_labels(apps, schema_editor):
    """What was expected could be any text until now. What is no label goes where other words go.

    Only what is a label to the letter stays one: the text itself is what somebody said, and the mirror has it so.
    """
    Feedback, Prediction = apps.get_model("feedback", "Feedback"), apps.get_model("predictions", "Prediction")
    labels = {line.split("\t")[1] for line in LABELS.read_text(encoding="utf-8").splitlines()}
    labels.update(Prediction.objects.order_by().values_list("label", flat=True).distinct())
    texts = set(Feedback.objects.order_by().values_list("expected_label", flat=True).distinct())
    for words in _chunks(iter(texts - labels - {""})):
        said = Feedback.objects.filter(expected_label__in=words)
        said.update(expected_words=F("expected_label"), expected_label="")


def put_words_back(apps, schema_editor):
    """The way back: the column of words goes away, and what somebody said must not go with it."""
    said = apps.get_model("feedback", "Feedback").objects.filter(expected_label="").exclude(expected_words="")
    said.update(expected_label=F("expected_words"))


def open_cases(apps, schema_editor):
    """A case for each picture that somebody complained of, as if it had been there when he did."""
    Case, Feedback = apps.get_model("feedback", "Case"), apps.get_model("feedback", "Feedback")
    there = set(Case.objects.values_list("image_id", flat=True))
    statements = Feedback.objects.filter(prediction__state="done").select_related("prediction")
    by_picture = groupby(
        statements.order_by("prediction__image_id", "pk").iterator(chunk_size=CHUNK),
        key=lambda statement: statement.prediction.image_id,
    )
    cases = (_case(Case, list(said)) for image_id, said in by_picture if image_id not in there)
    for chunk in _chunks(case for case in cases if case is not None):
        Case.objects.bulk_create(chunk)
    case_of_picture = Case.objects.filter(image__predictions=OuterRef("prediction"))
    Feedback.objects.filter(prediction__isnull=False, case__isnull=True).update(
        case=Subquery(case_of_picture.values("pk")[:1])
    )


def _case(Case, statements):
    """The case of one picture, by all that was said of it, oldest first; `None` if nobody complained."""
    complaints = [statement for statement in statements if statement.verdict != "right"]
    if not complaints:
        return None
    prediction = complaints[-1].prediction
    scores = [score for _label, score in prediction.top]
    wrong = sum(statement.verdict == "wrong" for statement in statements)
    return Case(
        image_id=prediction.image_id,
        prediction=prediction,
        source="feedback",
        opened_at=complaints[0].created_at,
        predicted_label=prediction.label,
        score=prediction.score,
        margin=max(0.0, scores[0] - scores[1]) if len(scores) > 1 else 1.0,
        model_version=prediction.model_version,
        weight=len(statements),
        wrong_count=wrong,
        is_disputed=wrong > 0,
        expected_label=_most_expected(statements),
        last_statement_at=max(statement.created_at for statement in statements),
    )


def _most_expected(statements):
    """The label that most expect; of two that are named equally often the one that was named last."""
    counts = {}
    for place, statement in enumerate(statements):
        if label := statement.expected_label:
            counts[label] = (counts.get(label, (0, 0))[0] + 1, place)
    return max(counts, key=counts.get, default="")


def _chunks(items):
    while chunk := list(islice(items, CHUNK)):
        yield chunk


class Migration(migrations.Migration):
    dependencies = [
        ("feedback", "0002_cases"),
        ("predictions", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.RunPython(make_roles, migrations.RunPython.noop),
        migrations.RunPython(tell_words_from_labels, put_words_back),
        migrations.RunPython(open_cases, migrations.RunPython.noop),
    ]
