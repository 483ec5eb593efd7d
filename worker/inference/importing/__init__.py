"""Makes model versions of networks that others have trained, from files of every usual format.

    from worker.inference.importing import ImportOptions, import_network

    options = ImportOptions(labels="labels.txt", preset="unit")
    version = import_network(Repository(Path("models")), "own", Path("own.onnx"), options, report=print)

`.onnx`, `.tflite` and OpenVINO `.xml` files and SavedModel folders are read by OpenVINO alone; `.keras` and `.h5` files
need TensorFlow. A network is read and tried out in a process of its own, which starts a new Python interpreter:
scripts that import networks need `if __name__ == "__main__":`.
"""

from worker.inference.importing.errors import ImportRefused
from worker.inference.importing.importer import ImportOptions, examine_network, import_network
from worker.inference.importing.inspection import Choices
from worker.inference.importing.networks import is_network
from worker.inference.importing.presets import PRESETS, PartialPreprocessing
from worker.inference.importing.version_files import check_version_files

__all__ = [
    "PRESETS",
    "Choices",
    "ImportOptions",
    "ImportRefused",
    "PartialPreprocessing",
    "check_version_files",
    "examine_network",
    "import_network",
    "is_network",
]
