"""Model versions on disk: install, verify, list, activate.

Importing this package is cheap, so a web process can use it to read the active version and its labels: only an
installation imports TensorFlow, Keras, OpenVINO and NumPy.
"""

from worker.inference.repository.errors import (
    Damaged,
    InvalidArchive,
    NotInstalled,
    OtherVersionActive,
    RepositoryError,
    UnknownModel,
    VersionInUse,
    WeightsMismatch,
    WeightsUnavailable,
)
from worker.inference.repository.label_sets import LabelSetDifference, compare_label_sets, fingerprint
from worker.inference.repository.labels import Label
from worker.inference.repository.manifest import ModelManifest, Preprocessing
from worker.inference.repository.model_version import ModelVersion, Problem
from worker.inference.repository.versions import Repository

__all__ = [
    "Damaged",
    "InvalidArchive",
    "Label",
    "LabelSetDifference",
    "ModelManifest",
    "ModelVersion",
    "NotInstalled",
    "OtherVersionActive",
    "Preprocessing",
    "Problem",
    "Repository",
    "RepositoryError",
    "UnknownModel",
    "VersionInUse",
    "WeightsMismatch",
    "WeightsUnavailable",
    "compare_label_sets",
    "fingerprint",
]
