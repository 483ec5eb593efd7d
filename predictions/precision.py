"""The precision that this worker loads a model version with, measured once for each kind of processor."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import DatabaseError
from django.utils import timezone

from predictions import examples
from predictions.models import Image, PrecisionMeasurement
from worker.inference import precision
from worker.inference.precision import Comparison, MeasurementFailed
from worker.inference.processor import this_processor
from worker.inference.repository import ModelVersion

logger = logging.getLogger(__name__)

AUTO = "auto"
F32, BF16, INT8 = "f32", "bf16", "int8"

MEASURE_SECONDS = 60  # at most; usually one, on an idle machine
RETRY_AFTER = timedelta(hours=1)  # a failed measurement is repeated by a worker that loads the version later than this

# The images to measure with: the newest stored ones that are quickly decoded, and the examples until there are enough.
IMAGES = 36
IMAGE_MAX_BYTES = 500_000


def chosen(version: ModelVersion) -> str:
    """Returns the precision to load a version with. With `PRECISION=auto`, measures it first if it is new here.

    If measuring fails, the precision is f32, and the log says why.
    """
    if settings.PRECISION == BF16 and version.manifest.precision == F32:
        _warn_of_slow_bf16(version)
        return BF16
    if settings.PRECISION != AUTO or settings.ENGINE != "openvino" or version.manifest.precision != F32:
        return F32
    try:
        return (_remembered(version) or _measure(version)).chosen
    except (DatabaseError, OSError) as error:  # `OSError`: no process could be started
        logger.warning("Computing %s in f32: bf16 could not be measured: %s", version, error)
        return F32


def measurements(version: ModelVersion) -> list[PrecisionMeasurement]:
    """Returns what the processors of this site have measured of a version, the newest first."""
    return list(PrecisionMeasurement.objects.filter(**_of_version(version)))


def _of_version(version: ModelVersion) -> dict[str, str]:
    return {"model_version": str(version), "weights_sha256": version.manifest.files["bin"].sha256}


def _here(version: ModelVersion) -> dict[str, str]:
    """Returns the columns that identify a measurement of this version on this machine."""
    processor = this_processor()
    return {
        **_of_version(version),
        "processor": processor.name[:200],
        "features": " ".join(processor.features)[:200],
        "openvino": importlib.metadata.version("openvino"),
    }


def _remembered(version: ModelVersion) -> PrecisionMeasurement | None:
    found = PrecisionMeasurement.objects.filter(**_here(version)).first()
    return None if found and found.failed and found.measured_at < timezone.now() - RETRY_AFTER else found


def _measure(version: ModelVersion) -> PrecisionMeasurement:
    """Measures a version and remembers the result, or why there is none.

    Other workers may measure it at the same time. All of them use the row that was stored first.
    """
    logger.info("Measuring %s in f32 and bf16.", version)
    try:
        found = precision.measure(
            version,
            _images(),
            seconds=min(MEASURE_SECONDS, settings.MODEL_LOAD_SECONDS / 2),
            max_pixels=settings.UPLOAD_MAX_PIXELS,
        )
    except MeasurementFailed as error:
        columns = {
            "images": 0,
            "flips": 0,
            "largest_gap": 0,
            "chosen": F32,
            "objection": f"could not be measured: {error}"[:400],
        }
    else:
        columns = _columns(found)
    PrecisionMeasurement.objects.failed().filter(**_here(version)).delete()
    measurement, _created = PrecisionMeasurement.objects.get_or_create(**_here(version), defaults=columns)
    _log(measurement)
    return measurement


def _columns(found: Comparison) -> dict[str, Any]:
    return {
        "f32_ms": found.f32_ms,
        "bf16_ms": found.other_ms,
        "images": found.images,
        "flips": found.flips,
        "largest_gap": found.largest_gap,
        "chosen": BF16 if found.is_better else F32,
        "objection": found.objection,
    }


def _log(one: PrecisionMeasurement) -> None:
    if one.failed:
        logger.warning("Computing %s in f32: bf16 %s", one.model_version, one.objection)
        return
    logger.info(
        "Computing %s in %s: an image takes %.2f ms of CPU time in f32, %.2f in bf16; %d of %d answers differ.%s",
        *(one.model_version, one.chosen, one.f32_ms, one.bf16_ms, one.flips, one.images),
        f" bf16 {one.objection}." if one.objection else "",
    )


def _images() -> list[bytes]:
    stored = list(_stored_images())
    return stored + [examples.content(example) for example in examples.EXAMPLES[: IMAGES - len(stored)]]


def _stored_images() -> Iterator[bytes]:
    """The newest stored images, without large ones. Files that cannot be read are left out."""
    newest = Image.objects.exclude(file="").order_by("-pk").values_list("file", "byte_size")[: 2 * IMAGES]
    small = [name for name, byte_size in newest if byte_size <= IMAGE_MAX_BYTES]
    for name in small[:IMAGES]:
        with suppress(OSError), default_storage.open(name, "rb") as file:
            yield file.read()


def _warn_of_slow_bf16(version: ModelVersion) -> None:
    try:
        known = _remembered(version)
    except DatabaseError:
        return  # only the warning is lost
    if known and known.chosen != BF16:
        logger.warning("PRECISION=bf16 is not the best for %s on this processor: bf16 %s", version, known.objection)
