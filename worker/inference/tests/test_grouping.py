"""Versions whose labels are groups of another version's labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest

from worker.inference.classifier import Classification, Classifier
from worker.inference.engines import EngineError, load_engine
from worker.inference.graph.grouping import is_grouping, with_groups
from worker.inference.grouping import install_group
from worker.inference.repository import Repository, RepositoryError
from worker.inference.tests.tiny_networks import add_version, compute, noise, small_cnn


def _ignore(line: str) -> None:
    pass


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    file = tmp_path / "groups.csv"
    file.write_text("cat,tabby\ncat,n2\nother,*\n")
    return file


def test_adds_up_the_probabilities_of_each_group() -> None:
    network, images = small_cnn(), noise(3)
    groups = [[3, 0], [1], [4, 2]]
    grouped = with_groups(network, groups)
    expected = np.stack([compute(network, images)[:, group].sum(1) for group in groups], axis=1)
    assert np.abs(compute(grouped, images) - expected).max() < 1e-6
    assert grouped.output(0).get_names() == network.output(0).get_names()
    assert [is_grouping(node) for node in network.get_ops()].count(True) == 0
    assert [is_grouping(node) for node in grouped.get_ops()].count(True) == 1


@pytest.mark.parametrize("groups", [[[0, 1], [2, 3]], [[0, 1, 2], [2, 3, 4]], [[0, 1, 2, 3, 4], []]])
def test_groups_contain_each_label_once(groups: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        with_groups(small_cnn(), groups)


def test_installs_groups_as_a_version(repository: Repository, groups: Path) -> None:
    add_version(repository)
    lines: list[str] = []
    version = install_group(repository, "cats", base="animals", file=groups, report=lines.append)
    assert lines[:3] == ["5 labels of animals@1 become 2", "  cat: 2", "  other: 3"]
    manifest = repository.get("cats@1").manifest
    assert (manifest.base, manifest.precision, manifest.classes) == ("animals@1", "f32", 2)
    assert manifest.source.license == "MIT"
    assert [label.display_name for label in version.labels] == ["cat", "other"]


def test_groups_can_be_grouped_again(repository: Repository, groups: Path, tmp_path: Path) -> None:
    base = add_version(repository)
    install_group(repository, "cats", base="animals@1", file=groups, report=_ignore)
    again = tmp_path / "again.csv"
    again.write_text("not a cat,other\na cat,cat\n")
    version = install_group(repository, "turned", base="cats", file=again, report=_ignore)
    core, images = openvino.Core(), noise(2)
    old, new = (compute(core.read_model(one.file("xml")), images) for one in (base, version))
    assert np.abs(new[:, 1] - old[:, :2].sum(1)).max() < 1e-6


def test_groups_share_the_backbone_of_their_base(repository: Repository, groups: Path) -> None:
    base = add_version(repository)
    version = install_group(repository, "cats", base="animals", file=groups, report=_ignore)
    backbones = {load_engine(one, features=True, threads=1).backbone for one in (base, version)}
    assert len(backbones) == 1
    assert backbones != {""}


def test_rejects_the_name_of_another_model(repository: Repository, groups: Path) -> None:
    add_version(repository)
    for name in ("animals", "resnet50"):
        with pytest.raises(RepositoryError, match="choose a name of its own"):
            install_group(repository, name, base="animals", file=groups, report=_ignore)


def test_mistakes_and_missing_files_install_nothing(repository: Repository, groups: Path, tmp_path: Path) -> None:
    add_version(repository)
    groups.write_text("cat,dragon\n")
    with pytest.raises(RepositoryError, match=r"groups\.csv: line 1: there is no label 'dragon'"):
        install_group(repository, "cats", base="animals", file=groups, report=_ignore)
    with pytest.raises(RepositoryError, match="cannot read .*none.csv: No such file"):
        install_group(repository, "cats", base="animals", file=tmp_path / "none.csv", report=_ignore)
    assert [str(version) for version in repository.versions()] == ["animals@1"]


def test_tensorflow_engine_says_that_groups_have_no_keras_model(repository: Repository, groups: Path) -> None:
    add_version(repository)
    version = install_group(repository, "cats", base="animals", file=groups, report=_ignore)
    with pytest.raises(EngineError, match="use the openvino engine"):
        load_engine(version, engine="tensorflow")


def test_real_model_answers_with_groups(two_versions: Repository, coffee: bytes, tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("a hot drink,espresso\na hot drink,cup\na hot drink,coffee mug\nsomething else,*\n")
    version = install_group(two_versions, "drinks", base="efficientnet-lite0", file=file, report=_ignore)
    pictures = [coffee]
    single, grouped = (
        Classifier.load(one, threads=1).classify(pictures).answers[0]
        for one in (two_versions.get("efficientnet-lite0"), version)
    )
    assert isinstance(single, Classification) and isinstance(grouped, Classification)
    drinks = sum(score for label, score in single.top if label in {"espresso", "cup", "coffee_mug"})
    assert grouped.label == "a hot drink"
    assert grouped.score >= drinks - 1e-6
    assert sum(score for _, score in grouped.top) == pytest.approx(1)
