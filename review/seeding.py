"""Sample cases for the reviewing desk, to try it or to measure it at a realistic size."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import PIL.Image
from django.contrib.auth.models import User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.utils import timezone

from feedback.models import Feedback
from feedback.services import feedback_give
from predictions import labels as active_labels
from predictions.models import Image, Prediction, image_path
from predictions.uploads import validation as images
from review.models import Case, Decision
from worker import inference
from worker.inference.classifier import Classification, Classifier
from worker.inference.repository.labels import labels_from_text

Progress = Callable[[int, int], None]  # done, total
T = TypeVar("T")

CHUNK = 1000  # rows written at a time
BATCH = 16  # pictures classified at a time
OTHERS_EXPECT = 0.1  # the part of the generated cases with several complaints of which one expects another label
DAYS = 90  # the period of the generated cases
MODEL_VERSIONS = ("efficientnet-lite0@1", "efficientnet-lite2@1", "resnet50@1")
COMMENTS = ("", "", "", "It is not that at all.", "Look at the left corner.", "Close, but no.", "I took this myself.")
LABELS = Path(inference.__file__).parent / "data" / "imagenet_labels.tsv"  # if no model is active


def seed_photos(photos: Sequence[tuple[str, bytes]], classifier: Classifier, progress: Progress) -> int:
    """Classifies photos (file name, bytes) and gives feedback on each. Returns the number of cases in the database.

    Uses the same services as a running site, except the queue.
    """
    rng = random.Random(0)  # noqa: S311 - for variety, not for secrets
    for start in range(0, len(photos), BATCH):
        batch = photos[start : start + BATCH]
        classified = classifier.classify([content for _name, content in batch])
        for (name, content), answer in zip(batch, classified.answers, strict=True):
            if isinstance(answer, Classification):
                _give_feedback(_answered(name, content, answer, str(classifier.version)), rng)
        progress(start + len(batch), len(photos))
    return Case.objects.count()


def _answered(name: str, content: bytes, answer: Classification, model_version: str) -> Prediction:
    image = images.store(images.validate(SimpleUploadedFile(name, content)))
    now = timezone.now()
    with transaction.atomic():
        return Prediction.objects.create(
            image=images.record([image])[image.sha256],
            source=Prediction.Source.PAGE,
            file_name=name,
            state=Prediction.State.DONE,
            label=answer.label,
            score=answer.score,
            top=[[label, round(score, 6)] for label, score in answer.top],
            model_version=model_version,
            started_at=now,
            finished_at=now,
        )


def _give_feedback(prediction: Prediction, rng: random.Random) -> None:
    others = [label for label, _score in prediction.top[1:]]
    for number in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        verdict = rng.choices(("wrong", "unsure", "right"), (6, 2, 1))[0] if number else "wrong"
        has_label = verdict == "wrong" and others and rng.random() < 0.7
        feedback_give(
            prediction=prediction,
            author=f"seed {prediction.pk} {number}",
            verdict=verdict,
            expected_label=rng.choice(others) if has_label else "",
            comment=rng.choice(COMMENTS),
        )


# --- Generated ------------------------------------------------------------------------------------


def seed_generated(cases: int, statements: int, reviewer: User, progress: Progress) -> None:
    """Adds cases of small generated pictures, and statements about them. A few labels are frequent and most are rare.

    Nine in ten cases are open; most of the others are decided. The pictures are real files with their real hashes.
    """
    rng = random.Random(1)  # noqa: S311 - for variety, not for secrets
    labels = _labels()
    weights = [1 / rank for rank in range(1, len(labels) + 1)]  # Zipf's law
    for start in range(0, cases, CHUNK):
        number = min(CHUNK, cases - start)
        part = statements * (start + number) // cases - statements * start // cases
        chosen = rng.choices(labels, weights, k=number * 2)
        with transaction.atomic():
            _generate(rng, chosen[:number], chosen[number:], part, reviewer)
        progress(start + number, cases)


def _labels() -> list[str]:
    """Returns the labels of the active version, or those of ImageNet."""
    known = active_labels.index().labels or labels_from_text(LABELS.read_text(encoding="utf-8"))
    return [label.display_name for label in known]


def _generate(rng: random.Random, predicted: list[str], expected: list[str], statements: int, reviewer: User) -> None:
    rows = Image.objects.bulk_create(_pictures(rng, len(predicted)))
    now = timezone.now()
    times = [now - timedelta(seconds=rng.uniform(0, DAYS * 86_400)) for _ in rows]
    predictions = Prediction.objects.bulk_create(
        _prediction(rng, *values) for values in zip(rows, predicted, expected, times, strict=True)
    )
    counts = _shares(rng, len(rows), statements)
    cases = Case.objects.bulk_create(
        _case(rng, *values) for values in zip(predictions, expected, times, counts, strict=True)
    )
    for chunk in _chunks(_statements(rng, cases, counts)):
        Feedback.objects.bulk_create(chunk)
    decided = [case for case in cases if rng.random() < 0.1]
    Decision.objects.bulk_create(_decide(rng, case, reviewer) for case in decided)
    columns = ("state", "verdict", "label", "decided_by", "decided_at", "decision_count")
    Case.objects.bulk_update(decided, columns, batch_size=200)


def _pictures(rng: random.Random, number: int) -> Iterator[Image]:
    """Generates pictures. Does not sync the files: sample data may be lost."""
    for _ in range(number):
        colours = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(4)]
        small = PIL.Image.new("RGB", (2, 2))
        small.putdata(colours)
        file = BytesIO()
        small.resize((64, 48), PIL.Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
        content = file.getvalue()
        image = Image(
            sha256=hashlib.sha256(content).hexdigest(), format="JPEG", width=64, height=48, byte_size=len(content)
        )
        image.file.name = image_path(image, "")
        path = Path(default_storage.path(image.file.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yield image


def _prediction(rng: random.Random, image: Image, label: str, second: str, at: datetime) -> Prediction:
    score = rng.betavariate(4, 2)
    top = [[label, score], [second, (1 - score) * rng.uniform(0.2, 0.9)]]
    return Prediction(
        id=UUID(int=rng.getrandbits(128), version=4),
        image=image,
        source=rng.choice(Prediction.Source.values),
        file_name="generated.jpg",
        state=Prediction.State.DONE,
        label=label,
        score=score,
        top=sorted(top, key=lambda pair: -float(str(pair[1]))),
        model_version=rng.choices(MODEL_VERSIONS, (6, 3, 1))[0],
        created_at=at,
        started_at=at,
        finished_at=at,
    )


def _case(rng: random.Random, prediction: Prediction, expected: str, at: datetime, statements: int) -> Case:
    source = Case.OpenedBy.FEEDBACK if statements else rng.choice([Case.OpenedBy.AUDIT, Case.OpenedBy.LOW_SCORE])
    wrong = (statements + 1) // 2
    return Case(
        image=prediction.image,
        prediction=prediction,
        source=source,
        in_audit=source == Case.OpenedBy.AUDIT,
        opened_at=at,
        predicted_label=prediction.label,
        score=prediction.score or 0.0,
        margin=abs(prediction.top[0][1] - prediction.top[1][1]),
        model_version=prediction.model_version,
        weight=statements,
        sender_count=statements,
        wrong_count=wrong,
        is_disputed=wrong > 0,
        expected_label=expected if wrong else "",
        has_other_expected_labels=wrong > 2 and rng.random() < OTHERS_EXPECT,
        last_statement_at=at if statements else None,
    )


def _shares(rng: random.Random, parts: int, whole: int) -> list[int]:
    """Splits `whole` into `parts` numbers, most of them small and a few large."""
    weights = [rng.expovariate(1) if rng.random() < 0.9 else 0.0 for _ in range(parts)]
    total = sum(weights) or 1.0
    shares, done, reached = [], 0, 0.0
    for weight in weights:
        reached += weight
        shares.append(round(whole * reached / total) - done)
        done += shares[-1]
    return shares


def _statements(rng: random.Random, cases: Sequence[Case], counts: Sequence[int]) -> Iterator[Feedback]:
    labels = sorted({case.predicted_label for case in cases})
    for case, count in zip(cases, counts, strict=True):
        expected = [case.expected_label] * case.wrong_count
        if case.has_other_expected_labels:
            expected[-1] = rng.choice([label for label in labels if label != case.expected_label])
        for number in range(count):
            is_wrong = number < case.wrong_count
            yield Feedback(
                prediction=case.prediction,
                image=case.image,
                verdict=Feedback.Verdict.WRONG if is_wrong else rng.choice(["right", "unsure"]),
                expected_label=expected[number] if is_wrong else "",
                comment=rng.choice(COMMENTS),
                author=f"seed {number}",
                created_at=case.opened_at + timedelta(minutes=number),
                mirrored_at=case.opened_at,  # sample statements are not mirrored
            )


def _decide(rng: random.Random, case: Case, reviewer: User) -> Decision:
    kind, label = rng.choices(
        [
            (Decision.Kind.CORRECTED, case.expected_label),
            (Decision.Kind.RIGHT, case.predicted_label),
            (Decision.Kind.UNUSABLE, ""),
            (Decision.Kind.FLAGGED, ""),
        ],
        (5, 4, 1, 1),
    )[0]
    if kind == Decision.Kind.CORRECTED and label in {"", case.predicted_label}:
        kind, label = Decision.Kind.RIGHT, case.predicted_label
    at = min(timezone.now(), case.opened_at + timedelta(hours=rng.expovariate(1 / 48)))
    case.decision_count = 1
    if kind == Decision.Kind.FLAGGED:
        case.state = Case.State.FLAGGED
    else:
        case.state, case.verdict, case.label = Case.State.DECIDED, str(kind), label
        case.decided_by, case.decided_at = reviewer, at
    return Decision(
        case=case,
        number=1,
        kind=kind,
        label=label,
        note="What is this?" if kind == Decision.Kind.FLAGGED else "",
        reviewer=reviewer,
        created_at=at,
        prediction=case.prediction,
        predicted_label=case.predicted_label,
        score=case.score,
        model_version=case.model_version,
    )


def _chunks(rows: Iterator[T]) -> Iterator[list[T]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk
