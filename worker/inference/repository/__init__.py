"""Model versions on disk: install, verify, list, activate.

Importing this package is cheap: TensorFlow, Keras, OpenVINO and NumPy are imported only by an
installation, so a web process may ask for the active version and its labels.
"""

from worker.inference.repository.errors import (
    Damaged,
    NotInstalled,
    RepositoryError,
    UnknownModel,
    WeightsMismatch,
    WeightsUnavailable,
)
from worker.inference.repository.manifest import ModelManifest, Preprocessing
from worker.inference.repository.model_version import ModelVersion, Problem
from worker.inference.repository.versions import Repository

__all__ = [
    "Damaged",
    "ModelManifest",
    "ModelVersion",
    "NotInstalled",
    "Preprocessing",
    "Problem",
    "Repository",
    "RepositoryError",
    "UnknownModel",
    "WeightsMismatch",
    "WeightsUnavailable",
]
