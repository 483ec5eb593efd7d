"""What the machine can do at most: the classifier alone, without queue, database and web server."""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace, _ActionsContainer
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stress.bench.processes import Contender, contender, pss_megabytes
from stress.bench.table import Figure, Report, Table
from stress.bench.workspace import Workspace

TITLE = "The ceiling"
CONTESTANTS = (("openvino", "f32"), ("openvino", "bf16"), ("tensorflow", "f32"))


# TensorFlow alone takes some ten seconds for each.
MOST_STARTS = 3


class NotHere(Exception):
    """This machine cannot do that, with the reason."""


@dataclass(frozen=True)
class Pass:
    """Predictions per second; CPU milliseconds for each."""

    rate: float
    cpu: float


def add_options(group: _ActionsContainer) -> None:
    group.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="photos at once (1 2 4 8 16 32)"
    )


@contextlib.contextmanager
def classifier(workspace: Workspace, engine: str, precision: str, largest_batch: int) -> Iterator[Contender]:
    """A process that has loaded the model. Raises `NotHere` if this machine cannot."""
    arguments = (str(workspace.models), engine, precision, str(largest_batch), *map(str, workspace.photos))
    with contender("classifier_process", *arguments) as process:
        answer = process.ask(batch_size=0)
        if "error" in answer:
            raise NotHere(answer["error"])
        yield process


def measure(process: Contender, batch_size: int) -> Pass:
    """One pass over all photos."""
    took = process.ask(batch_size=batch_size)
    return Pass(took["predictions"] / took["seconds"], 1000 * took["cpu_seconds"] / took["predictions"])


def best(passes: dict[int, list[Pass]]) -> int:
    """The batch size with the most predictions per second."""
    return max(passes, key=lambda size: Figure.of(one.rate for one in passes[size]).median)


def run(options: Namespace, workspace: Workspace) -> Report:
    sizes: Sequence[int] = sorted(set(options.batch_sizes))
    passes: dict[tuple[str, str], dict[int, list[Pass]]] = defaultdict(lambda: defaultdict(list))
    notes, memory_rows = [], []
    with contextlib.ExitStack() as stack:
        loaded: dict[tuple[str, str], Contender] = {}
        for engine, precision in CONTESTANTS:
            workspace.say(f"loading {engine} {precision}")
            starts = min(options.rounds, MOST_STARTS)
            try:
                # Before the others are loaded, which would share its libraries and its cores.
                alone = [_load_alone(workspace, engine, precision, max(sizes)) for _ in range(starts)]
            except NotHere as error:
                notes.append(f"Without {engine} {precision}: {error}.")
                continue
            seconds, memory = (Figure.of(values) for values in zip(*alone, strict=True))
            memory_rows.append((f"{engine} {precision}", seconds, memory))
        for engine, precision in CONTESTANTS:
            with contextlib.suppress(NotHere):
                process = stack.enter_context(classifier(workspace, engine, precision, max(sizes)))
                loaded[engine, precision] = process
        for number in range(options.rounds):
            workspace.say(f"round {number + 1} of {options.rounds}")
            for size in sizes:
                for contestant, process in loaded.items():
                    passes[contestant][size].append(measure(process, size))
    rows = [
        (
            f"{engine} {precision}, batches of {size}",
            Figure.of(one.rate for one in found[size]),
            Figure.of(one.cpu for one in found[size]),
        )
        for (engine, precision), found in passes.items()
        for size in sizes
    ]
    for (engine, precision), found in passes.items():
        size = best(found)
        rate = Figure.of(one.rate for one in found[size])
        name = "The ceiling" if (engine, precision) == CONTESTANTS[0] else "Best"
        notes.append(f"{name} of {engine} {precision}: {rate} predictions/s, in batches of {size}.")
    return Report(
        "ceiling",
        TITLE,
        f"From the bytes of {len(workspace.photos)} photos to labels, by the classifier alone in a process for each "
        f"engine; {options.rounds} rounds in turns, median (lowest-highest).",
        [
            Table(("", "predictions/s", "CPU ms/prediction"), rows),
            Table(
                ("", "seconds from start to ready", "PSS after serving, MB"),
                memory_rows,
                title="Memory and start",
            ),
        ],
        notes=notes,
    )


def _load_alone(workspace: Workspace, engine: str, precision: str, largest_batch: int) -> tuple[float, float]:
    """Seconds from the start of the process until it is ready, and its memory (PSS, MB) once it has served."""
    # A worker holds no photos; the process that is measured holds all of them.
    photos = sum(photo.stat().st_size for photo in workspace.photos) / 1e6
    assert workspace.models  # noqa: S101 - installed before the clock runs
    began = time.monotonic()
    with classifier(workspace, engine, precision, largest_batch) as process:
        seconds = time.monotonic() - began
        measure(process, largest_batch)
        return seconds, pss_megabytes(process.pid) - photos
