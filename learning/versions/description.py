"""Everything that is known about an installed version, in words: for `manage.py model show` and its page."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from django.utils.formats import date_format

from learning.templatetags.units import file_size, milliseconds
from learning.versions.usage import Usage
from predictions import precision
from predictions.models import PrecisionMeasurement
from predictions.templatetags.labels import readable
from worker.inference.engines import engines_for
from worker.inference.repository import ModelVersion, Preprocessing, RepositoryError
from worker.inference.repository.manifest import FILES, FileRecord, WeightsSource

SHOWN_LABELS = 5

# Titles of facts that pages link.
MADE_FROM, LABELS, PREDICTIONS, CASES = "Made from", "Labels", "Predictions answered", "Cases about its answers"

# f32 and bf16 are the CPU times of an image.
MEASUREMENT_TITLES = (
    *("Chosen", "f32", "bf16", "Other answers in bf16", "Processor"),
    *("Processor features", "OpenVINO", "Measured", "Objection"),
)


@dataclass(frozen=True)
class Fact:
    """One line of a description. The text is never empty. `url` makes it a link on the page."""

    title: str
    text: str
    url: str = ""


@dataclass(frozen=True)
class DescribedFile:
    name: str
    size: str
    sha256: str


def facts(version: ModelVersion, usage: Usage, *, is_active: bool) -> list[Fact]:
    """Returns what the manifest and the database say about a version. Reads its labels, too."""
    manifest = version.manifest
    builders = ", ".join(f"{package} {number}" for package, number in sorted(manifest.builders.items()))
    found = [
        ("Active", "yes" if is_active else "no"),
        ("Weights from", source_in_words(manifest.source)),
        (MADE_FROM, manifest.base),
        ("Made", moment_in_words(manifest.created)),
        ("Built with", builders),
        (LABELS, labels_in_words(version)),
        ("Reference images", reference_images_in_words(version)),
        ("Input", input_in_words(manifest.preprocessing)),
        ("Preprocessing", preprocessing_in_words(manifest.preprocessing)),
        ("Precision of the weights", manifest.precision),
        ("Engines", ", ".join(engines_for(version))),
        ("Size on disk", file_size(version.size_on_disk)),
        (PREDICTIONS, f"{usage.predictions:,}"),
        (CASES, f"{usage.cases:,}"),
        ("Time to compute", time_to_compute(usage.compute_ms)),
    ]
    return [Fact(title, printable(text)) for title, text in found if text]


def details(version: ModelVersion) -> list[Fact]:
    """Returns the notes in the manifest, such as what an import has found out about the network."""
    return [
        Fact(printable(name), printable(text) or "–") for name, text in sorted(version.manifest.details.items()) if name
    ]


def files(version: ModelVersion) -> list[DescribedFile]:
    records = version.manifest.files
    return [_described(FILES[kind], records[kind]) for kind in FILES if kind in records]


def measurements(version: ModelVersion) -> list[tuple[str, ...]]:
    """Returns a row for each measurement of workers in f32 and bf16; see `predictions.precision`."""
    return [_measured(one) for one in precision.measurements(version)]


def not_measured(version: ModelVersion) -> str:
    """Says why a version has no measurements."""
    return precision.why_not_measured(version) or "Not measured yet. A worker measures it when it loads the version."


def _measured(one: PrecisionMeasurement) -> tuple[str, ...]:
    """The texts below `MEASUREMENT_TITLES`."""
    row = (
        one.chosen,
        milliseconds(one.f32_ms),
        milliseconds(one.bf16_ms),
        f"{one.flips} of {one.images}" if one.images else "–",
        one.processor,
        one.features or "–",
        one.openvino,
        date_format(one.measured_at, "DATETIME_FORMAT"),
        f"bf16 {one.objection}" if one.objection else "–",
    )
    return tuple(printable(text) for text in row)


def moment_in_words(text: str) -> str:
    """Returns a moment of a manifest as pages show it. A manifest may say anything, which is returned as it is."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return text
    return date_format(moment, "DATETIME_FORMAT")


def labels_in_words(version: ModelVersion) -> str:
    try:
        names = [readable(label.display_name) for label in version.labels[:SHOWN_LABELS]]
    except RepositoryError as error:
        return f"{version.manifest.classes:,}, which cannot be read: {error}"
    more = ", …" if version.manifest.classes > len(names) else ""
    return f"{version.manifest.classes:,}: {', '.join(names)}{more}"


def reference_images_in_words(version: ModelVersion) -> str:
    try:
        images = version.reference_images
    except RepositoryError as error:
        return f"cannot be read: {error}"
    return f"{len(images.positions):,} of {version.manifest.classes:,} labels have some" if images else ""


def input_in_words(rule: Preprocessing) -> str:
    return f"{rule.width} x {rule.height} pixels, {rule.channel_order}"


def preprocessing_in_words(rule: Preprocessing) -> str:
    sides = f", {rule.crop * 100:.3g} % of its sides" if rule.crop < 1 else ""
    part = {
        "shortest": f"The largest centred box with the shape of the input{sides}",
        "stretch": f"The whole picture{sides}, whatever its shape",
        "pad": "The whole picture with a border",
    }[rule.resize]
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (rule.mean, rule.std))
    return f"{part}, scaled ({rule.interpolation}); then (value - mean) / std with mean {mean} and std {std}"


def source_in_words(source: WeightsSource) -> str:
    licence = f", license {source.license}" if source.license else ""
    digest = f", SHA-256 {source.sha256}" if source.sha256 else ""
    return f"{source.kind} {source.reference}{licence}{digest}"


def time_to_compute(value: float | None) -> str:
    return "" if value is None else f"{milliseconds(value)} (median of its latest answers, on any machine)"


def printable(text: str) -> str:
    """Replaces characters that a terminal would obey: an imported manifest may say anything."""
    return "".join("\ufffd" if unicodedata.category(character) in {"Cc", "Cs"} else character for character in text)


def _described(name: str, record: FileRecord) -> DescribedFile:
    return DescribedFile(name, file_size(record.size), record.sha256)
