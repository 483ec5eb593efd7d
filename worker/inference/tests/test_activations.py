"""The history of activations, and going back in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.inference.repository import Damaged, NotInstalled, OtherVersionActive, Repository, activations
from worker.inference.tests.fakes import NAME

A, B, C = (f"{NAME}@{number}" for number in (1, 2, 3))


@pytest.fixture
def three(repository: Repository, weights: Path) -> Repository:
    """A repository with three versions, of which none is active."""
    for number in range(3):
        weights.write_bytes(bytes([number]))
        repository.install(NAME, weights=weights)
    return repository


def test_records_who_activated_what(three: Repository) -> None:
    three.activate(A, by="first")
    three.activate(B, by="second")
    three.activate(B, by="nothing changes")
    three.rollback(by="third")
    recorded = [(one.before, one.version, one.by, one.is_rollback) for one in activations.history(three.root)]
    assert recorded == [("", A, "first", False), (A, B, "second", False), (B, A, "third", True)]


def test_each_rollback_goes_one_step_further_back(three: Repository) -> None:
    for version in (A, B, C):
        three.activate(version)
    assert three.previous_name() == B
    assert [str(three.rollback()) for _ in range(2)] == [B, A]
    assert three.previous_name() == ""
    with pytest.raises(NotInstalled, match="no earlier version"):
        three.rollback()
    assert three.active_name() == A


def test_rollback_does_not_return_to_a_version_that_was_left_by_one(three: Repository) -> None:
    for version in (A, B, A, B):
        three.activate(version)
    three.rollback()
    with pytest.raises(NotInstalled):
        three.rollback()
    three.activate(B)
    three.activate(C)
    assert [str(three.rollback()) for _ in range(2)] == [B, A]


def test_rollback_leaves_out_removed_versions(three: Repository) -> None:
    for version in (A, B, C):
        three.activate(version)
    three.remove(B)
    assert str(three.rollback()) == A


def test_rollback_does_not_fall_back_from_a_damaged_version(three: Repository) -> None:
    for version in (A, B, C):
        three.activate(version)
    three.get(B).file("bin").write_bytes(b"")
    with pytest.raises(Damaged, match="model.bin"):
        three.rollback()
    assert three.active_name() == C


@pytest.mark.parametrize("change", [lambda models: models.activate(C), lambda models: models.rollback()])
def test_rejects_a_change_if_another_version_is_active_meanwhile(
    three: Repository, change: Callable[[Repository], object]
) -> None:
    three.activate(A)
    three.activate(B)
    change(three)
    active = three.active_name()
    with pytest.raises(OtherVersionActive, match=f"is {active} now, not '{B}'"):
        three.activate(A if active == C else C, instead_of=B)
    with pytest.raises((OtherVersionActive, NotInstalled)):
        three.rollback(instead_of=B)
    assert three.active_name() == active


def test_rollback_works_after_a_crash_before_the_activation_was_recorded(three: Repository) -> None:
    three.activate(A)
    (three.root / "active").write_text(f"{B}\n")
    assert three.previous_name() == A
    three.activate(C)
    assert [str(three.rollback()) for _ in range(2)] == [B, A]


def test_history_is_bounded(three: Repository) -> None:
    for _ in range(activations.LIMIT):
        three.activate(A)
        three.activate(B)
    recorded = activations.history(three.root)
    assert len(recorded) == activations.LIMIT
    assert recorded[-1].version == B


@pytest.mark.parametrize("line", ["", "{", "[]", '{"at": 1}', "\0", '{"version": "x@1"}', "[" * 100_000])
def test_skips_lines_that_are_not_valid(three: Repository, line: str) -> None:
    three.activate(A)
    with (three.root / activations.FILE).open("a") as file:
        file.write(f"{line}\n")
    three.activate(B)
    assert str(three.rollback()) == A


def test_activations_at_the_same_time_are_all_recorded(three: Repository) -> None:
    three.activate(A)

    def activate_often() -> None:
        for version in (B, C) * 10:
            Repository(three.root).activate(version)

    threads = [threading.Thread(target=activate_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded = activations.history(three.root)
    assert all(one.version == other.before for one, other in zip(recorded, recorded[1:], strict=False))
    assert recorded[-1].version == three.active_name()


def test_copy_of_a_folder_without_history_has_nothing_to_go_back_to(three: Repository, tmp_path: Path) -> None:
    three.activate(A)
    (three.root / activations.FILE).unlink()
    copy = Repository(Path(shutil.copytree(three.root, tmp_path / "copy")))
    assert copy.previous_name() == ""
    copy.activate(B)
    assert copy.previous_name() == A
