"""Creates decided cases and exports, and reads data sets, for tests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from learning.datasets import writing
from learning.datasets.case_selection import CaseSelection
from learning.models import Export
from predictions.models import Image
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import encoded, noise
from review import roles
from review.models import Case
from review.tests.cases import reviewer_named

EVERYTHING = CaseSelection()
DECIDED_AT = datetime(2026, 3, 14, 15, 9, 26, 535897, tzinfo=UTC)

_numbers = count()


def lead_named(name: str = "lea") -> User:
    return reviewer_named(name, roles.LEADS)


def decided_case(
    label: str = "espresso", *, content: bytes | None = None, verdict: str | None = None, **changes: Any
) -> Case:
    """Creates a decided case: `right` if the label is the model's (`espresso`), otherwise `corrected`.

    Without `content`, the case has a new picture.
    """
    # Differs in size from the pictures of `open_case`.
    new = encoded(noise(40, 30, seed=next(_numbers) % 256), "PNG")
    image = stored_image(new if content is None else content)
    prediction = stored_prediction(image)
    verdict = verdict or ("right" if label == prediction.label else "corrected")
    values = {
        "source": Case.OpenedBy.AUDIT,
        "predicted_label": prediction.label,
        "score": prediction.score,
        "margin": 0.5,
        "model_version": prediction.model_version,
        "state": Case.State.DECIDED,
        "verdict": verdict,
        "label": "" if verdict == "unusable" else label,
        "decided_by": reviewer_named(),
        "decided_at": DECIDED_AT,
        "decision_count": 1,
    }
    return Case.objects.create(image=image, prediction=prediction, **(values | changes))


def many_cases(contents: Iterable[bytes], labels: Iterable[str]) -> None:
    """Creates a decided case for each picture, in a few queries. They share one prediction."""
    images = []
    for content in contents:
        digest = sha256(content).hexdigest()
        image = Image(sha256=digest, format="PNG", width=8, height=8, byte_size=len(content))
        image.file.save("", ContentFile(content), save=False)
        images.append(image)
    Image.objects.bulk_create(images, batch_size=500)
    prediction = stored_prediction(images[0])
    reviewer = reviewer_named()
    Case.objects.bulk_create(
        [
            Case(
                image=image,
                prediction=prediction,
                source=Case.OpenedBy.AUDIT,
                predicted_label="espresso",
                score=0.5,
                margin=0.5,
                model_version="fake-net@1",
                state=Case.State.DECIDED,
                verdict=Case.Outcome.CORRECTED,
                label=label,
                decided_by=reviewer,
                decided_at=DECIDED_AT,
                decision_count=1,
            )
            for image, label in zip(images, labels, strict=False)
        ],
        batch_size=500,
    )


def write(path: Path, selection: CaseSelection = EVERYTHING, kind: str = "imagefolder") -> writing.WrittenFile:
    return writing.write(selection, kind, path)


def names(path: Path) -> list[str]:
    """Returns the files of an archive, without folders."""
    with ZipFile(path) as archive:
        return [name for name in archive.namelist() if not name.endswith("/")]


def manifest(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of the manifest. Asserts that both formats agree."""
    with ZipFile(path) as archive:
        lines = [json.loads(line) for line in archive.read("manifest.jsonl").decode().split("\n")[:-1]]
        rows = list(csv.DictReader(StringIO(archive.read("manifest.csv").decode("utf-8-sig"), newline="")))
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert list(row) == list(line)
        for name, value in line.items():
            cell = str(value).lower() if isinstance(value, bool) else str(value)
            assert row[name].removeprefix("'") == cell
    return lines


# --- Exports --------------------------------------------------------------------------------------


def queued_export(**changes: Any) -> Export:
    """Creates an export of all cases that has no job in the queue."""
    values = {"requested_by": lead_named(), "format": "imagefolder", "selection": EVERYTHING.as_json(), "total": 1}
    return Export.objects.create(**(values | changes))


def done_export(content: bytes = b"an archive", **changes: Any) -> Export:
    """Creates a finished export with this content in its file."""
    export = queued_export(
        state=Export.State.DONE,
        done=1,
        byte_size=len(content),
        sha256=sha256(content).hexdigest(),
        started_at=DECIDED_AT,
        finished_at=DECIDED_AT,
        **changes,
    )
    export.path.parent.mkdir(exist_ok=True)
    export.path.write_bytes(content)
    return export


def kept_files() -> list[str]:
    """Returns the names of the files in the folder of exports."""
    folder = Path(settings.EXPORTS_DIR)
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []
