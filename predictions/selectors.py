"""Searches the predictions for the admin.

Every search reads only a part of an index, and finds a limited number of rows.
"""

from __future__ import annotations

from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from predictions.models import Image, Prediction
from worker.inference.spelling import normalize

MOST_FOUND = 1000
MIN_HASH_LENGTH = 4  # digits of an id or a SHA-256

# Reads one index entry for each label, where SELECT DISTINCT reads one for each prediction.
_LABELS = """
    WITH RECURSIVE known(label) AS (
        SELECT MIN(label) FROM predictions_prediction
        UNION ALL
        SELECT (SELECT MIN(label) FROM predictions_prediction WHERE label > known.label)
        FROM known WHERE known.label IS NOT NULL
    )
    SELECT label FROM known WHERE label > ''
"""


def predictions_found(predictions: QuerySet[Prediction], text: str) -> QuerySet[Prediction]:
    """Narrows `predictions` to those that match a text; keeps their order.

    The text is a part of a label, or the beginning of a file name, of an id, or of the SHA-256 of a picture. At most
    `MOST_FOUND` predictions are found in each of these ways: of those with a label, the newest.
    """
    text = text.strip()
    if not text:
        return predictions
    # Each condition with the order in which its index holds the rows, so that the limit ends the search early.
    conditions = [
        (Q(label__in=labels_found(text)), "-created_at"),
        (begins_with("file_name", text), "file_name"),
        (Q(image__in=images_found(text)), "image_id"),
    ]
    digits = _hash_digits(text)
    if digits and len(digits) <= 32:
        conditions.append((Q(pk__range=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))), "pk"))
    found: set[UUID] = set()
    for condition, order in conditions:
        found.update(Prediction.objects.filter(condition).order_by(order).values_list("pk", flat=True)[:MOST_FOUND])
    return predictions.filter(pk__in=found)


def labels_found(text: str) -> list[str]:
    """Returns the labels of all predictions that contain a text, whatever its case and the signs between its words."""
    wanted = normalize(text)
    if not wanted:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_LABELS)
        return [label for (label,) in cursor.fetchall() if wanted in normalize(label)]


def label_contains(column: str, text: str) -> Q:
    """Returns the condition that a column of labels contains a text, which may have spaces where the label does or
    where pages show spaces instead of underscores.
    """
    return Q(**{f"{column}__icontains": text}) | Q(**{f"{column}__icontains": text.replace(" ", "_")})


def images_found(text: str) -> list[int]:
    """Returns the ids of images whose SHA-256 begins with a text, at most `MOST_FOUND`."""
    digits = _hash_digits(text)
    if not digits:
        return []
    return list(Image.objects.filter(begins_with("sha256", digits)).values_list("pk", flat=True)[:MOST_FOUND])


def _hash_digits(text: str) -> str:
    """Returns the hexadecimal digits of a text that may be the beginning of a hash, or else an empty string."""
    digits = text.replace("-", "").lower()
    is_hash = len(digits) >= MIN_HASH_LENGTH and all(digit in "0123456789abcdef" for digit in digits)
    return digits if is_hash else ""


def begins_with(column: str, text: str) -> Q:
    """Returns the condition that a column begins with a text, in the form for which the database uses an index."""
    if connection.vendor == "postgresql":
        return Q(**{f"{column}__startswith": text})
    return Q(**{f"{column}__gte": text, f"{column}__lt": f"{text}\U0010ffff"})
