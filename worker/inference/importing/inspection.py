"""Finds out what a network takes and returns: its image input, layout and size, and the meaning of its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import openvino
from numpy.typing import NDArray

from worker.inference.graph.canonical import (
    NotCanonical,
    channels_last,
    last_operation,
    name_of,
    reduced,
    text_of,
    with_softmax,
)
from worker.inference.graph.errors import reason
from worker.inference.importing.errors import ImportRefused
from worker.inference.preprocessing import normalised
from worker.inference.repository.manifest import Preprocessing

Layout = Literal["NHWC", "NCHW"]
OutputKind = Literal["logits", "probabilities"]

_SUM_TOLERANCE = 1e-3  # between 1 and the sum of probabilities
_BATCH_TOLERANCE = 1e-3  # between the answers of one picture alone and in a batch


@dataclass(frozen=True)
class Choices:
    """What the user says about the network. What is None is found out."""

    input: str | None = None
    output: str | None = None
    layout: Layout | None = None
    size: tuple[int, int] | None = None  # width, height
    output_kind: OutputKind | None = None


@dataclass(frozen=True)
class ImageInput:
    """The image input of a network."""

    name: str
    layout: Layout
    width: int
    height: int
    channels: int
    is_8_bit: bool  # takes whole numbers, as a quantised network does


@dataclass(frozen=True)
class Answer:
    """The output of a network."""

    name: str
    kind: OutputKind
    reason: str  # how the kind was found out
    classes: int


def find_image(model: openvino.Model, choices: Choices, usual_size: tuple[int, int] | None = None) -> ImageInput:
    """Finds the input that takes the image.

    Args:
        usual_size: width and height for a network that takes any, if none was chosen.

    Raises:
        ImportRefused: there are several inputs; or it is not clear how the input holds an image; or its size is free or
            another one than the chosen one.
    """
    port = _port(model.inputs, choices.input, "input")
    name, shape = name_of(port), port.partial_shape
    if shape.rank.is_dynamic or shape.rank.get_length() != 4:
        raise ImportRefused(
            f"the input {name!r} has the shape {text_of(shape)}, and an image has four dimensions, such as"
            " (?, 224, 224, 3)"
        )
    layout = choices.layout or _layout(name, shape)
    width, height = (_side(shape[layout.index(axis)]) for axis in "WH")
    channels = _side(shape[layout.index("C")])
    if channels not in (1, 3):
        raise ImportRefused(f"the input {name!r} has the shape {text_of(shape)}: not 1 or 3 channels in {layout}")
    width, height = _size(name, (width, height), choices.size, usual_size)
    is_8_bit = port.element_type in (openvino.Type.u8, openvino.Type.i8)
    if not is_8_bit and not port.element_type.is_real():
        raise ImportRefused(f"the input {name!r} takes numbers of type {port.element_type.get_type_name()}, not pixels")
    return ImageInput(name, layout, width, height, channels, is_8_bit)


def canonical_network(
    model: openvino.Model, image: ImageInput, choices: Choices, normalised: NDArray[np.float32]
) -> tuple[openvino.Model, Answer]:
    """Rewrites the network to the canonical form (see `worker.inference.graph.canonical`).

    Args:
        model: is changed.
        normalised: some pictures as the network takes them, float32 (n, height, width, channels), n at least 2. They
            show whether the outputs are probabilities.

    Raises:
        ImportRefused: the network has several outputs; it returns independent probabilities or values that are not
            finite; or it cannot be rewritten.
    """
    port = _port(model.outputs, choices.output, "output")
    name = name_of(port)
    try:
        model = reduced(model, _port(model.inputs, image.name, "input"), port)
        if not model.output().element_type.is_real():
            raise ImportRefused(
                f"the output {name!r} holds numbers of type {port.element_type.get_type_name()}: convert the network"
                " so that its output is float32"
            )
        model = channels_last(model, image.layout, image.height, image.width)
    except NotCanonical as error:
        raise ImportRefused(str(error)) from error
    kind, reason = _kind(model, name, choices.output_kind, outputs_of(model, normalised))
    if kind == "logits":
        model = with_softmax(model)
    return model, Answer(name, kind, reason, model.output().partial_shape[1].get_length())


def probe_of(rule: Preprocessing) -> NDArray[np.float32]:
    """Returns pictures that need no files, as the network takes them: noise, a black and a white one, and gradients."""
    shape = height, width, _ = rule.shape
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (2, *shape), np.uint8)
    flat = np.stack([np.full(shape, value, np.uint8) for value in (0, 255)])
    across = np.broadcast_to(np.linspace(0, 255, width)[np.newaxis, :, np.newaxis], shape)
    down = np.broadcast_to(np.linspace(255, 0, height)[:, np.newaxis, np.newaxis], shape)
    return normalised(np.concatenate([noise, flat, np.stack([across, down]).astype(np.uint8)]), rule)


def outputs_of(model: openvino.Model, normalised: NDArray[np.float32]) -> NDArray[np.float32]:
    """Computes the outputs of a canonical network for pictures, and checks that each is answered alone.

    Raises:
        ImportRefused: the network cannot be run, answers a picture differently beside others, or takes or returns
            values that are not finite.
    """
    if not np.isfinite(normalised).all():
        raise ImportRefused("the preprocessing makes NaN or infinity of pixels: its mean or std is wrong")
    try:
        compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        together = np.array(compiled(normalised)[0])
        alone = np.concatenate([np.array(compiled(picture[np.newaxis])[0]) for picture in normalised])
    except RuntimeError as error:
        raise ImportRefused(f"the network cannot be run: {reason(error)}") from error
    if not (np.isfinite(together).all() and np.isfinite(alone).all()):
        raise ImportRefused("the network returns NaN or infinity: its weights or the preprocessing are wrong")
    scale = max(1.0, float(np.abs(alone).max()))
    if together.shape != alone.shape or float(np.abs(together - alone).max()) > _BATCH_TOLERANCE * scale:
        raise ImportRefused("the network answers a picture differently when it is computed together with others")
    return together


def are_probabilities(outputs: NDArray[np.float32]) -> bool:
    """Whether each row holds numbers from 0 to 1 whose sum is 1."""
    within = (outputs >= -_SUM_TOLERANCE).all() and (outputs <= 1 + _SUM_TOLERANCE).all()
    return bool(within and (np.abs(outputs.sum(axis=1) - 1) < _SUM_TOLERANCE).all())


def _port(ports: Sequence[Any], chosen: str | None, what: str) -> Any:
    if not ports:
        raise ImportRefused(f"the network has no {what}")
    names = ", ".join(f"{name_of(port)!r} {text_of(port.partial_shape)}" for port in ports)
    if chosen is None:
        if len(ports) != 1:
            raise ImportRefused(f"the network has {len(ports)} {what}s: {names}; choose one with --{what} NAME")
        return ports[0]
    for port in ports:
        if chosen == name_of(port) or chosen in port.names:
            return port
    raise ImportRefused(f"the network has no {what} {chosen!r}; it has: {names}")


def _layout(name: str, shape: openvino.PartialShape) -> Layout:
    first, last = (_side(shape[axis]) in (1, 3) for axis in (1, 3))
    if first == last:
        raise ImportRefused(
            f"the input {name!r} has the shape {text_of(shape)}, from which it is not clear where the colours are;"
            " pass --layout NHWC or --layout NCHW"
        )
    return "NCHW" if first else "NHWC"


def _side(dimension: Any) -> int:
    """The length of a dimension; 0 if it is free."""
    return 0 if dimension.is_dynamic else int(dimension.get_length())


def _size(
    name: str, found: tuple[int, int], chosen: tuple[int, int] | None, usual: tuple[int, int] | None
) -> tuple[int, int]:
    if chosen is None:
        if 0 in found and usual:
            return found[0] or usual[0], found[1] or usual[1]
        if 0 in found:
            raise ImportRefused(f"the input {name!r} takes images of any size; pass --size, such as --size 224x224")
        return found
    for side, wanted in zip(found, chosen, strict=True):
        if side not in (0, wanted):
            raise ImportRefused(
                f"the input {name!r} takes {found[0] or 'any'} x {found[1] or 'any'} pixels,"
                f" not {chosen[0]} x {chosen[1]}; leave out --size"
            )
    return chosen


def _kind(
    model: openvino.Model, name: str, chosen: OutputKind | None, outputs: NDArray[np.float32]
) -> tuple[OutputKind, str]:
    classes, operation = outputs.shape[1], last_operation(model)
    if classes == 1:
        raise ImportRefused(
            f"the output {name!r} is a single number, as of a sigmoid that says yes or no: train the network with a"
            " softmax over two labels"
        )
    within = bool((outputs >= -_SUM_TOLERANCE).all() and (outputs <= 1 + _SUM_TOLERANCE).all())
    sums_to_1 = are_probabilities(outputs)
    if chosen == "logits":
        return chosen, "chosen"
    if chosen == "probabilities":
        if not sums_to_1:
            raise ImportRefused(f"the output {name!r} is not probabilities: they do not sum to 1")
        return chosen, "chosen"
    if operation in {"Sigmoid", "HardSigmoid"} and not sums_to_1:
        raise ImportRefused(
            f"the output {name!r} has a sigmoid for each label, so that several can be right at once: this site answers"
            " with one label, and needs a softmax over all"
        )
    if operation == "Softmax" or sums_to_1:
        if not sums_to_1:
            raise ImportRefused(f"the output {name!r} ends in a softmax, but does not sum to 1 over the labels")
        return "probabilities", f"ends in {operation}" if operation == "Softmax" else "sums to 1"
    if within and operation != "LogSoftmax":
        raise ImportRefused(
            f"the output {name!r} is from 0 to 1 without a sum of 1, as of independent probabilities (multi-label);"
            " if it is logits, pass --output-kind logits"
        )
    return "logits", f"ends in {operation}"
