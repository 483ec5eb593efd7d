"""Measures how long answers take while another model version is activated under load."""

from __future__ import annotations

import shutil
import time
from argparse import Namespace, _ActionsContainer
from dataclasses import dataclass

from devtools.running import NO_CLIENT_LIMITS, RunningSite, eventually
from devtools.timed_load import TimedLoad, p99_ms
from stress.bench.workspace import MODEL, Workspace
from stress.tables import BenchReport, Figure, Goal, ResultTable
from worker.inference.repository import Repository
from worker.inference.tests.label_examples import install_with_labels

TITLE = "Activation under load"
CLIENTS = 50
SECONDS = 10  # before the activation, and after it
MOST_LONGER = 2.0  # at most this many times as long while the version is loaded


@dataclass(frozen=True)
class ActivationRound:
    """99th percentiles in milliseconds, seconds until the new version answered, and requests that failed."""

    before: float
    during: float
    after: float
    switched: float
    failed: int


def add_options(group: _ActionsContainer) -> None:
    """This benchmark has only the general options."""


def run(options: Namespace, workspace: Workspace) -> BenchReport:
    data_dir = workspace.site_folder("activation")
    (data_dir / "models").unlink()  # a link to the models of all benchmarks
    repository = Repository(shutil.copytree(workspace.models, data_dir / "models"))
    version = repository.get(MODEL)
    install_with_labels(version, "other-net", [f"other label {number}" for number in range(1000)])
    names = [str(version), "other-net@1"]
    photo = workspace.photos[0].read_bytes()
    with RunningSite(data_dir, REUSE_ANSWERS="0", PRECISION="f32", **NO_CLIENT_LIMITS) as site:
        with TimedLoad(site, photo, clients=CLIENTS):
            time.sleep(SECONDS / 2)  # warms up
        rounds = []
        for number in range(options.rounds):
            workspace.say(f"round {number + 1} of {options.rounds}")
            rounds.append(_measure(site, repository, names[(number + 1) % 2], photo))
    return _report(options, rounds)


def _measure(site: RunningSite, repository: Repository, name: str, photo: bytes) -> ActivationRound:
    with TimedLoad(site, photo, clients=CLIENTS) as load:
        began = time.monotonic()
        time.sleep(SECONDS)
        activated = time.monotonic()
        repository.activate(name)
        eventually(lambda: load.answers[-1].body.get("model") == name, f"an answer of {name}", 120)
        switched_at = time.monotonic()
        time.sleep(SECONDS)
        ended = time.monotonic()
    # Clients wait at the activation, too. Those that began in the first second found an idle site.
    return ActivationRound(
        before=p99_ms(load.between(began + 1, activated - 1)),
        during=p99_ms(load.between(activated - 1, switched_at)),
        after=p99_ms(load.between(switched_at, ended - 1)),
        switched=switched_at - activated,
        failed=sum(answer.status != 200 for answer in load.answers),
    )


def _report(options: Namespace, rounds: list[ActivationRound]) -> BenchReport:
    before, during, after, switched = (
        Figure.of([getattr(one, name) for one in rounds]) for name in ("before", "during", "after", "switched")
    )
    failed = sum(one.failed for one in rounds)
    longer = during.median / before.median
    return BenchReport(
        "activation",
        TITLE,
        f"`manage.py up` with REUSE_ANSWERS=0 PRECISION=f32; {CLIENTS} clients in Python send a photo of 110 kB again "
        f"as soon as it is answered; another version of the same network is activated. {options.rounds} rounds, median "
        "(lowest-highest).",
        [
            ResultTable(
                ("", "before", "until the new version answers", "after"),
                [("p99, ms", before, during, after)],
            ),
            ResultTable(("", "seconds"), [("until the new version answers", switched)]),
        ],
        goals=[
            Goal("no request fails", str(failed), failed == 0),
            Goal(
                f"p99 at most {MOST_LONGER:g} times as long while the version is loaded",
                f"{longer:.1f} times, and then {after.median / before.median:.1f} times",
                longer <= MOST_LONGER,
            ),
        ],
    )
