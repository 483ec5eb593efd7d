"""Versions are activated while clients send pictures, and often in a row."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from devtools.running import NO_CLIENT_LIMITS, RunningSite, eventually, folder_with_model
from devtools.timed_load import TimedLoad
from predictions.tests.pictures import picture
from worker.inference.repository import Label, Repository
from worker.inference.tests.label_examples import install_with_labels
from worker.inference.tests.tiny_networks import add_version, network_that_finds

CLIENTS = 50
CLASSES = 4
# Each version is sure of another class, so that an answer of one with the labels of the other is recognized.
ANSWERS = {"first@1": "first 0", "second@1": "second 3"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two tiny networks. `first@1` is active."""
    repository = Repository(tmp_path / "data" / "models")
    _add(repository, "first", likely=0)
    _add(repository, "second", likely=3)
    repository.activate("first@1")
    return repository


def _add(repository: Repository, name: str, *, likely: int) -> None:
    """Installs a network that finds the same class in every picture."""
    labels = [Label(f"{name}{number}", f"{name} {number}", f"{name} {number}") for number in range(CLASSES)]
    add_version(repository, name, labels, network=network_that_finds(likely, CLASSES))


@pytest.fixture
def small_site(repository: Repository) -> Iterator[RunningSite]:
    with RunningSite(repository.root.parent, **NO_CLIENT_LIMITS) as site:
        yield site


def test_every_answer_has_the_labels_of_its_version(small_site: RunningSite, repository: Repository) -> None:
    with TimedLoad(small_site, picture(), clients=CLIENTS) as load:
        for name in ("second@1", "first@1") * 3:
            repository.activate(name)
            eventually(lambda name=name: load.answers and load.answers[-1].body.get("model") == name, name, 60)
    failed = [answer for answer in load.answers if answer.status != 200]
    assert failed == []
    wrong = [
        answer.body
        for answer in load.answers
        if answer.body["prediction"] != ANSWERS[answer.body["model"]]
        or {label["label"].split()[0] for label in answer.body["labels"]} != {answer.body["model"].split("@")[0]}
    ]
    assert wrong == []
    assert {answer.body["model"] for answer in load.answers} == set(ANSWERS)


def test_twenty_activations_do_not_make_the_worker_larger(tmp_path: Path, models: Repository) -> None:
    """The worker has answered with each version whenever it is measured.

    The first changes do: two versions are in memory while the second is loaded, and the C library keeps some of that
    memory for the next one.
    """
    folder = folder_with_model(tmp_path, models.root)
    repository = Repository(folder / "models")
    version = repository.get("efficientnet-lite0@1")
    install_with_labels(version, "other-net", [f"other label {number}" for number in range(1000)])
    names = ["other-net@1", str(version)]
    with RunningSite(folder, REUSE_ANSWERS="0", **NO_CLIENT_LIMITS) as site:
        [pid] = site.pids("rqworker predictions")

        def activate(name: str) -> float:
            """Returns the megabytes of the worker, after it has answered with this version."""
            repository.activate(name)
            eventually(lambda: site.predict(picture()).json()["model"] == name, name, 60)
            return psutil.Process(pid).memory_info().rss / 1e6

        before = statistics.median([activate(name) for name in names * 3][1:])
        sizes = [activate(name) for name in names * 10]
        assert site.pids("rqworker predictions") == [pid], "the same process"
    print(f"MB of the worker: {before:.0f}, then {', '.join(f'{size:.0f}' for size in sizes)}")  # noqa: T201
    assert statistics.median(sizes[-5:]) <= before * 1.1, (before, sizes)
