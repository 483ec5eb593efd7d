"""A folder of labelled pictures shows whether a network and its preprocessing fit each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import openvino
import pytest

from worker.inference.importing import ImportOptions, ImportRefused, import_network
from worker.inference.importing.checking import better_preset, find_pictures, score
from worker.inference.importing.presets import PRESETS
from worker.inference.repository import Label, Repository
from worker.inference.repository.manifest import Preprocessing
from worker.inference.tests.small_cnn import LABELS, SIZE, SmallCnn, write_pictures

SET = tuple(Label(f"id{number}", name, name) for number, name in enumerate(LABELS))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures") / "labelled", 5)


def _rule(preset: str) -> Preprocessing:
    return PRESETS[preset].complete(SIZE, SIZE, 3)


def test_counts_right_answers(cnn: SmallCnn, pictures: Path) -> None:
    found = find_pictures(pictures, SET)
    result = score(openvino.Core().read_model(cnn.xml), _rule("keras-tf"), found)
    assert (result.total, result.top_1, result.top_5, result.unreadable) == (20, 20, 20, 0)
    assert result.confusions == ()


def test_names_confusions_and_skips_other_files(cnn: SmallCnn, pictures: Path, tmp_path: Path) -> None:
    wrong = write_pictures(tmp_path / "wrong", 2, ["dark red disc", "light red square"])  # the second is a blue disc
    (wrong / "light red square" / "notes.txt").write_text("no picture")
    (wrong / "light red square" / ".hidden").write_text("not counted")
    result = score(openvino.Core().read_model(cnn.xml), _rule("keras-tf"), find_pictures(wrong, SET))
    assert (result.total, result.top_1, result.unreadable) == (4, 2, 1)
    assert result.confusions == (((2, 1), 2),)


def test_finds_folders_by_name_and_id(pictures: Path, tmp_path: Path) -> None:
    for name in ("id0", "dark blue disc", "light_red_square"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    assert sorted(picture.label for picture in find_pictures(tmp_path, SET)) == [0, 1, 2]
    (tmp_path / "green disc").mkdir()
    with pytest.raises(ImportRefused, match="the folder 'green disc', and no label has that name"):
        find_pictures(tmp_path, SET)


def test_refuses_folders_without_pictures(cnn: SmallCnn, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="No such file"):
        find_pictures(tmp_path / "none", SET)
    with pytest.raises(ImportRefused, match="has no pictures"):
        find_pictures(tmp_path, SET)
    (tmp_path / "id0").mkdir()
    (tmp_path / "id0" / "1.png").touch()
    with pytest.raises(ImportRefused, match="none of 1 files is a picture"):
        score(openvino.Core().read_model(cnn.xml), _rule("keras-tf"), find_pictures(tmp_path, SET))


def test_suggests_a_preset_only_if_few_are_right(cnn: SmallCnn, pictures: Path) -> None:
    model, found = openvino.Core().read_model(cnn.xml), find_pictures(pictures, SET)
    wrong = _rule("raw")
    result = score(model, wrong, found)
    better = better_preset(model, wrong, found, replace(result, top_1=5))
    assert better is not None
    assert better[1].accuracy == 1
    assert better_preset(model, wrong, found, replace(result, top_1=10)) is None


def test_wrong_preprocessing_is_refused_with_a_suggestion(
    cnn: SmallCnn, pictures: Path, repository: Repository, labels_file: Path
) -> None:
    options = ImportOptions(labels=str(labels_file), preset="keras-caffe", check=pictures)
    with pytest.raises(
        ImportRefused, match=r"^0.0% right: is the preprocessing keras-tf\? With --preset keras-tf, 100.0%"
    ):
        import_network(repository, "own", cnn.onnx, options)
    assert repository.versions() == []


def test_labels_in_the_wrong_order_show_as_confusions(
    cnn: SmallCnn, pictures: Path, repository: Repository, labels_file: Path
) -> None:
    reports: list[str] = []
    labels_file.write_text("\n".join(LABELS[::-1]))
    options = ImportOptions(labels=str(labels_file), preset="keras-tf", check=pictures)
    import_network(repository, "own", cnn.onnx, options, report=reports.append)
    assert "check: 0 of 20 right (0.0%)" in reports  # no preset helps
    assert "check: 5 of 'dark red disc' taken for 'light blue square'" in reports
