"""`manage.py model import`."""

from __future__ import annotations

import re
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from django.core.management.base import CommandError

from learning.versions.services import check_loadable
from learning.versions.subcommands.subcommand import Subcommand
from worker.inference.repository import Repository
from worker.inference.repository.manifest import ChannelOrder, Interpolation, Resize

if TYPE_CHECKING:
    from worker.inference.importing import ImportOptions

NOTHING_INSTALLED_BY_DRY_RUN = "nothing was installed (--dry-run)"

# What is said about a network, or done with it before it is installed.
NETWORK_OPTIONS = (
    *("labels", "check", "references", "trust", "preset", "preprocessing", "size", "resize", "crop", "interpolation"),
    *("mean", "std", "channels", "layout", "input", "output", "output_kind"),
)


class Import(Subcommand):
    """With two arguments, imports a network from a file. With one, installs what another site has.

    That is a models folder, or a file that `model export` wrote.
    """

    name = "import"
    help = "install a network from a file, copy the versions of a models folder, or install what `model export` wrote"

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="the model's name; or, alone, a folder or exported file")
        parser.add_argument(
            "path",
            nargs="?",
            type=Path,
            metavar="PATH",
            help=".keras, .h5, .onnx, .tflite, .xml or a SavedModel",
        )
        parser.add_argument("--labels", metavar="FILE", help="a .txt, .csv or .json file, or imagenet")
        parser.add_argument("--check", type=Path, metavar="FOLDER", help="classify labelled pictures: a folder a label")
        parser.add_argument(
            "--references", type=Path, metavar="FOLDER", help="pictures that show people each label: a folder a label"
        )
        parser.add_argument("--dry-run", action="store_true", help="do everything except installing it")
        parser.add_argument("--activate", action="store_true", help="make it the active version")
        parser.add_argument("--trust", action="store_true", help="run the Python code of a Keras file's Lambda layers")
        pixels = parser.add_argument_group("preprocessing", "what is not given is read from files beside PATH")
        pixels.add_argument("--preset", metavar="NAME", help="keras-tf, keras-torch, keras-caffe, unit, raw or lite")
        pixels.add_argument("--preprocessing", type=Path, metavar="FILE", help="of timm or Hugging Face")
        pixels.add_argument("--size", type=_size, metavar="SIZE", help="224, or width x height as in 320x240")
        pixels.add_argument("--resize", choices=get_args(Resize))
        pixels.add_argument("--crop", type=float, metavar="PART", help="what is used of each side, such as 0.875")
        pixels.add_argument("--interpolation", choices=get_args(Interpolation))
        pixels.add_argument("--mean", type=_numbers, metavar="M,M,M", help="of pixels from 0 to 255")
        pixels.add_argument("--std", type=_numbers, metavar="S,S,S", help="of pixels from 0 to 255")
        pixels.add_argument("--channels", choices=get_args(ChannelOrder))
        graph = parser.add_argument_group("network", "what is not given is found out")
        graph.add_argument("--layout", choices=("NHWC", "NCHW"))
        graph.add_argument("--input", metavar="NAME")
        graph.add_argument("--output", metavar="NAME")
        graph.add_argument("--output-kind", choices=("logits", "probabilities"))

    def run(self, options: Mapping[str, Any]) -> None:
        if options["path"] is not None:
            self.import_network(options)
            return
        path = Path(options["name"])
        _check_single_argument(path, options)
        if path.is_file():
            self.import_file(path, options)
        else:
            self.repository.import_versions(path, check=check_loadable, report=self.report)

    def import_network(self, options: Mapping[str, Any]) -> None:
        """Installs a network with its labels and preprocessing. It becomes active if no version is."""
        from worker.inference.importing import examine_network, import_network  # OpenVINO takes a second

        chosen = _chosen(options)
        if options["dry_run"]:
            examine_network(options["path"], chosen, report=self.report)
            self.report(NOTHING_INSTALLED_BY_DRY_RUN)
            return
        version = import_network(self.repository, options["name"], options["path"], chosen, report=self.report)
        self.offer(version, activate=options["activate"])

    def import_file(self, file: Path, options: Mapping[str, Any]) -> None:
        """Installs the version in a file that `model export` wrote. It becomes active if no version is."""
        from worker.inference.importing import check_version_files  # OpenVINO takes a second

        if options["dry_run"]:
            with tempfile.TemporaryDirectory() as folder:
                version = Repository(Path(folder)).import_file(file, check=check_version_files)
            self.report(f"{file} holds a version of {version.name}")
            self.report(NOTHING_INSTALLED_BY_DRY_RUN)
            return
        version = self.repository.import_file(file, check=check_version_files, report=self.report)
        self.offer(version, activate=options["activate"])


def _check_single_argument(path: Path, options: Mapping[str, Any]) -> None:
    """Refuses a network without a name, and options that say nothing about an exported file or a models folder."""
    from worker.inference.importing import is_network

    if is_network(path):
        raise CommandError(f"{path} is a network, and NAME is missing: manage.py model import NAME {path}")
    names = NETWORK_OPTIONS if path.is_file() else (*NETWORK_OPTIONS, "dry_run", "activate")
    given = [f"--{name.replace('_', '-')}" for name in names if options[name] not in (None, False)]
    if given:
        kind = "an exported file" if path.is_file() else "a models folder"
        raise CommandError(
            f"{', '.join(given)} cannot be used with {kind}; for a network, give NAME and PATH: "
            "manage.py model import NAME PATH"
        )


def _chosen(options: Mapping[str, Any]) -> ImportOptions:
    from worker.inference.importing import Choices, ImportOptions, PartialPreprocessing

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
            input=options["input"],
            output=options["output"],
            layout=options["layout"],
            size=options["size"],
            output_kind=options["output_kind"],
        ),
        trust=options["trust"],
        check=options["check"],
        references=options["references"],
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,3})(?:x([1-9][0-9]{0,3}))?", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is not a size such as 224 or 320x240")
    return int(match[1]), int(match[2] or match[1])


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a list of numbers such as 127.5,127.5,127.5") from error
