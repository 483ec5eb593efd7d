"""Makes an int8 version, and stores how it compares with its base."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from django.db import DatabaseError, transaction
from numpy.typing import NDArray

from learning.models import FlippedAnswer, Quantization
from learning.quantizing.comparison import Flip, Int8Comparison, Report, compare_with_base, decoded, preprocessor
from learning.quantizing.pictures import FEWEST, SamplePicture, decided_pictures, folder_pictures, stored_pictures
from predictions.models import Image
from worker.inference.preprocessing import Preprocessor, UndecodableImage
from worker.inference.processor import this_processor
from worker.inference.quantizing import build_candidate, check_quantizable, install_candidate
from worker.inference.repository import ModelVersion, Repository, RepositoryError

SEED = 0
MOST_FLIPS = 500  # shown; all are counted
THUMBNAIL_SIDE = 192


def quantize(repository: Repository, reference: str, *, folder: Path | None, report: Report) -> Quantization:
    """Installs an int8 version of an installed one, with its report. Activates nothing.

    Everything is built and compared before the version is installed, so an interruption leaves nothing.

    Args:
        reference: the base: `name@version`, or a name for its newest version.
        folder: pictures to calibrate on; by default stored ones.
        report: called with one line for each step.

    Raises:
        RepositoryError: there is no such version, it cannot be quantised, this processor saturates, or there are too
            few pictures; see `Repository.get` and `Repository.add`. Or the version is installed, but its report cannot
            be stored; the message says so.
        EngineError: a version cannot be loaded.
        OSError: the folder cannot be read.
    """
    base = repository.get(reference)
    check_quantizable(base)
    pictures = stored_pictures(SEED) if folder is None else folder_pictures(folder, SEED)
    calibrated_on = f"{len(pictures):,} {'stored pictures' if folder is None else 'pictures of a folder'}"
    report(f"calibrating on {calibrated_on}")
    with tempfile.TemporaryDirectory(prefix="mlsite-int8-") as temporary:
        pixels = _readable(pictures, preprocessor(base), report)
        candidate = build_candidate(base, pixels, Path(temporary), calibrated_on=calibrated_on)
        everything = _with_decided(pictures, base)
        report(f"comparing on {len(everything):,} pictures")
        comparison = compare_with_base(base, candidate, everything, report)
        version = install_candidate(repository, candidate, report)
    try:
        return _store(base, version, calibrated_on, comparison)
    except (DatabaseError, KeyboardInterrupt) as error:
        why = str(error) or "interrupted"
        raise RepositoryError(f"{version} is installed, but its report is not stored: {why}") from error


def _readable(
    pictures: Sequence[SamplePicture], preprocess: Preprocessor, report: Report
) -> Iterator[NDArray[np.uint8]]:
    """Yields the pixels of each picture. Raises `RepositoryError` at the end if there were too few."""
    number = 0
    for _picture, pixels in decoded(pictures, preprocess):
        number += 1
        yield pixels
    if number < FEWEST:
        raise RepositoryError(f"only {number} of {len(pictures)} pictures can be decoded, and {FEWEST} are needed")
    if number < len(pictures):
        report(f"left out because they cannot be decoded: {len(pictures) - number} of {len(pictures)}")


def _with_decided(pictures: Sequence[SamplePicture], base: ModelVersion) -> list[SamplePicture]:
    """Adds pictures whose label reviewers have decided, each once."""
    decided = decided_pictures(base, SEED)
    known = {picture.image_id for picture in decided}
    return [*decided, *(picture for picture in pictures if picture.image_id is None or picture.image_id not in known)]


def _store(base: ModelVersion, version: ModelVersion, calibrated_on: str, comparison: Int8Comparison) -> Quantization:
    with transaction.atomic():
        # Numbers are never given twice, but somebody may have deleted the models folder, and installed anew.
        Quantization.objects.filter(model_version=str(version)).delete()
        quantization = Quantization.objects.create(
            model_version=str(version),
            base=str(base),
            processor=this_processor().name[:200],
            calibrated_on=calibrated_on,
            compared=comparison.compared,
            labelled=comparison.labelled,
            flipped=len(comparison.flips),
            precisions=[asdict(result) for result in comparison.precisions],
        )
        flips = _kept(comparison.flips)
        preprocess = preprocessor(base)
        FlippedAnswer.objects.bulk_create(_row(quantization, flip, preprocess) for flip in flips)
    return quantization


def _kept(flips: Sequence[Flip]) -> list[Flip]:
    """The flips to show, the clearest first: those of a near-tie matter least. Pictures erased meanwhile are left out.

    Runs in a transaction.
    """
    found = Image.objects.filter(pk__in=[flip.picture.image_id for flip in flips], erased_at__isnull=True)
    stored = set(found.select_for_update().values_list("pk", flat=True))
    kept = [flip for flip in flips if flip.picture.image_id is None or flip.picture.image_id in stored]
    return sorted(kept, key=lambda flip: flip.score_of_new - flip.score)[:MOST_FLIPS]


def _row(quantization: Quantization, flip: Flip, preprocess: Preprocessor) -> FlippedAnswer:
    picture = flip.picture
    return FlippedAnswer(
        quantization=quantization,
        image_id=picture.image_id,
        file_name=picture.name[-255:],
        thumbnail=b"" if picture.image_id else _thumbnail(picture, preprocess),
        known_label=picture.label,
        label=flip.label,
        score=flip.score,
        new_label=flip.new_label,
        new_score=flip.new_score,
        score_of_new=flip.score_of_new,
    )


def _thumbnail(picture: SamplePicture, preprocess: Preprocessor) -> bytes:
    """A small JPEG of what the network sees: the file itself is in a folder that the site cannot show."""
    try:
        small = preprocess.picture(picture.read())
    except (OSError, UndecodableImage):
        return b""  # removed or changed meanwhile
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = io.BytesIO()
    small.convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()
