"""Image classification: the bytes of an image in, labels with probabilities out.

    from pathlib import Path
    from worker.inference.classifier import Classifier
    from worker.inference.repository import Repository

    repository = Repository(Path("models"))
    version = repository.install("efficientnet-lite0")
    result = Classifier.load(version).classify([Path("cat.jpg").read_bytes()])

The package needs neither Django nor a queue. Only an installation and the TensorFlow engine import TensorFlow.
To add an engine, see `worker.inference.engines`; to add a network, see `worker.inference.repository.recipe`.
"""
