"""The precision that this worker loads a model version with, as measured on its kind of processor."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.db import DatabaseError
from django.db.models import QuerySet
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
# With fewer images, one other label is more than the 3 % that may differ. The first measurement of a new site has to do
# with the examples, and is repeated when so many images are stored.
ENOUGH_IMAGES = 34

CHOICE_SECONDS = 60  # for so long, a process remembers whether a measurement has chosen bf16


def chosen(version: ModelVersion) -> str:
    """Returns the precision to load a version with. With `PRECISION=auto`, measures it first if it is new here.

    If measuring fails, the precision is f32, and the log says why.
    """
    if settings.PRECISION == BF16 and version.manifest.precision == F32:
        _warn_of_slow_bf16(version)
        return BF16
    if why_not_measured(version):
        return F32
    try:
        return (_remembered(version) or measure(version)).chosen
    except (DatabaseError, OSError) as error:  # `OSError`: no process could be started
        logger.warning("Computing %s in f32: bf16 could not be measured: %s", version, error)
        return F32


def why_not_measured(version: ModelVersion) -> str:
    """Says in a sentence why workers of this site do not measure a version, or returns an empty string."""
    if version.manifest.precision != F32:
        return f"Workers do not measure {version.manifest.precision} versions."
    if settings.ENGINE != "openvino":
        return f"Workers do not measure it, because ENGINE={settings.ENGINE} computes in f32 only."
    if settings.PRECISION != AUTO:
        return f"Workers do not measure it, because they compute in {settings.PRECISION} (PRECISION is set to that)."
    return ""


def measurements(version: ModelVersion) -> list[PrecisionMeasurement]:
    """Returns what the processors of this site have measured of a version, the newest first."""
    return list(PrecisionMeasurement.objects.filter(**_of_version(version)))


def bf16_was_chosen(version: str) -> bool:
    """Returns whether bf16 is the measured choice for `name@version` on some kind of processor of this site."""
    key = f"bf16-was-chosen:{version}"
    found: bool | None = cache.get(key)
    if found is None:
        found = PrecisionMeasurement.objects.filter(model_version=version, chosen=BF16).exists()
        cache.set(key, found, CHOICE_SECONDS)
    return found


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
    """Returns what was measured here, unless it is time to measure again."""
    found = PrecisionMeasurement.objects.filter(**_here(version)).first()
    if found is None or _is_outdated(found):
        return None
    return found


def _is_outdated(found: PrecisionMeasurement) -> bool:
    """Whether a measurement failed some time ago, or had too few images, and enough have been stored since."""
    if found.failed:
        return found.measured_at < timezone.now() - RETRY_AFTER
    if found.images >= ENOUGH_IMAGES:
        return False
    # There may have been enough images all the same: large networks see only some of them, for lack of time.
    stored = Image.objects.exclude(file="").filter(byte_size__lte=IMAGE_MAX_BYTES).order_by("pk")
    return not _are_enough(stored.filter(created_at__lt=found.measured_at)) and _are_enough(stored)


def _are_enough(images: QuerySet[Image]) -> bool:
    return images[:ENOUGH_IMAGES].count() == ENOUGH_IMAGES


def measure(version: ModelVersion) -> PrecisionMeasurement:
    """Measures a version on this machine and remembers the result, or why there is none, instead of an earlier one.

    Other workers may measure it at the same time. All of them use the row that was stored first.
    """
    logger.info("Measuring %s in f32 and bf16.", version)
    here = PrecisionMeasurement.objects.filter(**_here(version))
    earlier = list(here.values_list("pk", flat=True))
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
    (here.failed() | here.filter(pk__in=earlier)).delete()
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
