"""A program that imports networks and prints what is reported, for tests that interrupt it or give it little room.

Usage: python -m worker.inference.tests.importing_program MODELS LABELS LIMIT NETWORK. LIMIT: bytes of a file, or 0.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from worker.inference.importing import ImportOptions, import_network
from worker.inference.repository import Repository, RepositoryError


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def main(models: str, labels: str, limit: str, network: str) -> None:
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    options = ImportOptions(labels=labels, preset="keras-tf")
    try:
        import_network(Repository(Path(models)), "own", Path(network), options, report=_print)
    except RepositoryError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
