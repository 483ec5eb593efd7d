"""The highest rate of the machine: the classifier alone, without queue, database and web server."""

from __future__ import annotations

import contextlib
import time
from argparse import Namespace, _ActionsContainer
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stress.bench.processes import BenchProcess, bench_process, pss_megabytes
from stress.bench.workspace import Workspace
from stress.tables import BenchReport, Figure, ResultTable, TableCell, figures

TITLE = "The ceiling"
ENGINES = (("openvino", "f32"), ("openvino", "bf16"), ("tensorflow", "f32"))
MOST_STARTS = 3  # TensorFlow takes ten seconds for each


class EngineNotSupported(Exception):
    """This machine cannot run the engine; the message says why."""


@dataclass(frozen=True)
class ClassifierPass:
    """Predictions per second, and CPU milliseconds for each."""

    rate: float
    cpu: float


def add_options(group: _ActionsContainer) -> None:
    group.add_argument(
        "--batch-sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="photos at once (1 2 4 8 16 32)"
    )


@contextlib.contextmanager
def classifier(workspace: Workspace, engine: str, precision: str, largest_batch: int) -> Iterator[BenchProcess]:
    """Runs a process that has loaded the model. Raises `EngineNotSupported` if this machine cannot."""
    arguments = (str(workspace.models), engine, precision, str(largest_batch), *map(str, workspace.photos))
    with bench_process("classifier_process", *arguments) as process:
        answer = process.ask(batch_size=0)
        if "error" in answer:
            raise EngineNotSupported(answer["error"])
        yield process


def measure(process: BenchProcess, batch_size: int) -> ClassifierPass:
    """Classifies all photos once."""
    took = process.ask(batch_size=batch_size)
    return ClassifierPass(took["predictions"] / took["seconds"], 1000 * took["cpu_seconds"] / took["predictions"])


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    sizes: Sequence[int] = sorted(set(options.batch_sizes))
    # Memory first, while no other process shares the engine's libraries and the cores.
    memory_rows, notes = _measure_starts(workspace, min(options.rounds, MOST_STARTS), max(sizes))
    with contextlib.ExitStack() as stack:
        loaded: dict[str, BenchProcess] = {}
        for engine, precision in ENGINES:
            with contextlib.suppress(EngineNotSupported):
                process = stack.enter_context(classifier(workspace, engine, precision, max(sizes)))
                loaded[f"{engine} {precision}"] = process
        passes = workspace.rounds(
            options.rounds,
            [(name, size) for size in sizes for name in loaded],
            lambda case: measure(loaded[case[0]], case[1]),
            label="{0[0]}, batches of {0[1]}",
        )
    rows: list[tuple[TableCell, ...]] = [
        (f"{name}, batches of {size}", *figures(passes[name, size], "rate", "cpu")) for name in loaded for size in sizes
    ]
    for name in loaded:
        rates = {size: figures(passes[name, size], "rate")[0] for size in sizes}
        size, rate = max(rates.items(), key=lambda each: each[1].median)
        what = "The ceiling" if name == " ".join(ENGINES[0]) else "Best"
        notes.append(f"{what} of {name}: {rate} predictions/s, in batches of {size}.")
    return BenchReport(
        "ceiling",
        TITLE,
        f"From the bytes of {len(workspace.photos)} photos to labels, by the classifier alone in a process for each "
        f"engine; {options.rounds} alternating rounds, median (lowest-highest).",
        [
            ResultTable(("", "predictions/s", "CPU ms/prediction"), rows),
            ResultTable(
                ("", "seconds from start to ready", "PSS after serving, MB"), memory_rows, title="Memory and start"
            ),
        ],
        notes=notes,
    )


def _measure_starts(
    workspace: Workspace, count: int, largest_batch: int
) -> tuple[list[tuple[TableCell, ...]], list[str]]:
    """Starts each engine `count` times. Returns a row for each, and a note for each that this machine cannot run."""
    rows: list[tuple[TableCell, ...]] = []
    notes = []
    for engine, precision in ENGINES:
        workspace.say(f"loading {engine} {precision}")
        try:
            starts = [_load_alone(workspace, engine, precision, largest_batch) for _ in range(count)]
        except EngineNotSupported as error:
            notes.append(f"Without {engine} {precision}: {error}.")
            continue
        rows.append((f"{engine} {precision}", *map(Figure.of, zip(*starts, strict=True))))
    return rows, notes


def _load_alone(workspace: Workspace, engine: str, precision: str, largest_batch: int) -> tuple[float, float]:
    """Returns the seconds from the start of the process until it is ready, and its PSS in MB once it has served."""
    # A worker holds no photos, but the measured process holds all of them.
    photos = sum(photo.stat().st_size for photo in workspace.photos) / 1e6
    assert workspace.models  # noqa: S101 - installed before the clock runs
    began = time.monotonic()
    with classifier(workspace, engine, precision, largest_batch) as process:
        seconds = time.monotonic() - began
        measure(process, largest_batch)
        return seconds, pss_megabytes(process.pid) - photos
