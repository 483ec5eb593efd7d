"""Installs a version whose labels are groups of another version's labels."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from worker.inference.grouping.group_file import InvalidGroups, LabelGroup, read_groups
from worker.inference.repository import ModelVersion, Repository, RepositoryError, catalogue
from worker.inference.repository.draft import VersionDraft
from worker.inference.repository.files import sha256_of
from worker.inference.repository.labels import labels_to_text
from worker.inference.repository.manifest import FILES, WeightsSource

_SHOWN_GROUPS = 50
TOLERANCE = 1e-4  # the largest accepted difference between a probability of the version and the sum it stands for


def install_group(
    repository: Repository, name: str, *, base: str, file: Path, report: Callable[[str], None]
) -> ModelVersion:
    """Installs a version `name` whose labels are the groups in a CSV file; see `group_file`.

    Args:
        base: the version whose labels are grouped: `name@version`, or a name for its newest version.
        report: called with one line for each step.

    Raises:
        NotInstalled, Damaged: the base is not installed, or damaged.
        RepositoryError: the name or the file cannot be used, or the models folder cannot be written.
    """
    version = repository.get(base)
    if name == version.name or name in catalogue.RECIPES:
        raise RepositoryError(f"{name} is the name of another model: choose a name of its own for the groups")
    try:
        groups = read_groups(file, version.labels)
    except InvalidGroups as error:
        raise RepositoryError(f"{file.name}: {error}") from error
    except OSError as error:
        raise RepositoryError(f"cannot read {file}: {error.strerror}") from error
    report(f"{len(version.labels):,} labels of {version} become {len(groups):,}")
    for group in groups[:_SHOWN_GROUPS]:
        report(f"  {group.label.display_name}: {len(group.members):,}")
    return repository.add(name, lambda folder: _build(version, groups, folder), report=report)


def _build(base: ModelVersion, groups: Sequence[LabelGroup], folder: Path) -> VersionDraft:
    import openvino

    from worker.inference.graph.errors import reason
    from worker.inference.graph.grouping import with_groups
    from worker.inference.graph.saving import noise, save_network

    core, probe = openvino.Core(), noise(base.manifest.preprocessing.shape)
    try:
        grouped = with_groups(core.read_model(base.file("xml")), [group.members for group in groups])
        save_network(grouped, folder / FILES["xml"], probe)
        difference = _difference(core, base, folder / FILES["xml"], groups, probe)
    except RuntimeError as error:
        raise RepositoryError(f"OpenVINO cannot use {base}: {reason(error)}") from error
    if not difference < TOLERANCE:
        raise RepositoryError(f"the grouped probabilities differ from their sums by {difference:.2g}: not installed")
    (folder / FILES["labels"]).write_text(labels_to_text(group.label for group in groups), encoding="utf-8")
    return VersionDraft(
        source=WeightsSource("version", str(base), sha256_of(folder / FILES["bin"]), base.manifest.source.license),
        preprocessing=base.manifest.preprocessing,
        precision=base.manifest.precision,
        base=str(base),
        details={"groups": f"{len(groups):,} of {len(base.labels):,} labels"},
        builders={"openvino": importlib.metadata.version("openvino")},
    )


def _difference(core: Any, base: ModelVersion, xml: Path, groups: Sequence[LabelGroup], probe: Any) -> float:
    """The largest difference between a group's probability and the sum of those of its labels, for one image."""
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    expected, sums = (core.compile_model(path, "CPU", options)(probe)[0][0] for path in (base.file("xml"), xml))
    return max(abs(float(sums[i] - expected[list(group.members)].sum())) for i, group in enumerate(groups))
