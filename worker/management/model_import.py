"""The arguments and the action of `manage.py model import`."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from worker.inference.importing import (
    PRESETS,
    Choices,
    ImportOptions,
    PartialPreprocessing,
    examine_network,
    import_network,
)
from worker.inference.repository import Repository
from worker.inference.repository.manifest import ChannelOrder, Interpolation, Resize


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the model's name; or, alone, a models folder to copy versions of")
    parser.add_argument(
        "path", nargs="?", type=Path, metavar="PATH", help=".keras, .h5, .onnx, .tflite or .xml, or a SavedModel folder"
    )
    parser.add_argument("--labels", metavar="FILE", help="a .txt, .csv or .json file, or imagenet")
    parser.add_argument(
        "--check", type=Path, metavar="FOLDER", help="labelled pictures to classify first: a folder a label"
    )
    parser.add_argument("--dry-run", action="store_true", help="do everything except installing it")
    parser.add_argument("--activate", action="store_true", help="make it the active version")
    parser.add_argument("--trust", action="store_true", help="run the Python code in Lambda layers of a Keras file")
    pixels = parser.add_argument_group("preprocessing", "what is not given is read from files beside PATH")
    pixels.add_argument("--preset", choices=sorted(PRESETS))
    pixels.add_argument("--preprocessing", type=Path, metavar="FILE", help="of timm or Hugging Face")
    pixels.add_argument("--size", type=_size, metavar="SIZE", help="224, or width x height as in 320x240")
    pixels.add_argument("--resize", choices=get_args(Resize))
    pixels.add_argument("--crop", type=float, metavar="PART", help="the part of each side that is used, such as 0.875")
    pixels.add_argument("--interpolation", choices=get_args(Interpolation))
    pixels.add_argument("--mean", type=_numbers, metavar="M,M,M", help="of pixels from 0 to 255")
    pixels.add_argument("--std", type=_numbers, metavar="S,S,S", help="of pixels from 0 to 255")
    pixels.add_argument("--channels", choices=get_args(ChannelOrder))
    graph = parser.add_argument_group("network", "what is not given is found out")
    graph.add_argument("--layout", choices=("NHWC", "NCHW"))
    graph.add_argument("--input", metavar="NAME")
    graph.add_argument("--output", metavar="NAME")
    graph.add_argument("--output-kind", choices=("logits", "probabilities"))


def run(repository: Repository, options: dict[str, Any], report: Callable[[str], None]) -> None:
    """Imports a network, or the versions of another models folder if only one argument is given.

    Raises:
        RepositoryError: see `import_network` and `Repository.import_versions`.
        OSError: a folder cannot be read.
    """
    if options["path"] is None:
        repository.import_versions(Path(options["name"]), report=report)
        return
    chosen = _chosen(options)
    if options["dry_run"]:
        examine_network(options["path"], chosen, report=report)
        report("nothing was installed (--dry-run)")
        return
    version = import_network(repository, options["name"], options["path"], chosen, report=report)
    if options["activate"] or repository.active() is None:
        report(f"{repository.activate(str(version))} is active")
    else:
        report(f"to use it: manage.py model activate {version}")


def _chosen(options: dict[str, Any]) -> ImportOptions:
    return ImportOptions(
        labels=options["labels"],
        preset=options["preset"],
        preprocessing_file=options["preprocessing"],
        preprocessing=PartialPreprocessing(
            channel_order=options["channels"],
            mean=options["mean"],
            std=options["std"],
            resize=options["resize"],
            crop=options["crop"],
            interpolation=options["interpolation"],
        ),
        choices=Choices(
            options["input"], options["output"], options["layout"], options["size"], options["output_kind"]
        ),
        trust=options["trust"],
        check=options["check"],
    )


def _size(text: str) -> tuple[int, int]:
    try:
        width, _, height = text.lower().partition("x")
        return int(width), int(height or width)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a size such as 224 or 320x240") from error


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as 127.5,127.5,127.5") from error
