"""Files of networks that a full disk has cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from worker.inference.graph.saving import NotSaved, noise, save_network
from worker.inference.tests.tiny_networks import SIDE, compute, small_cnn

PROBE = noise((SIDE, SIDE, 3))


def test_saved_network_gives_the_same_answers(tmp_path: Path) -> None:
    network = small_cnn()
    save_network(network, tmp_path / "model.xml", PROBE)
    saved = openvino.Core().read_model(tmp_path / "model.xml")
    assert np.array_equal(compute(saved, PROBE), compute(network, PROBE))


@pytest.mark.parametrize("filled_with_zeros", [True, False])
def test_weights_that_are_not_on_the_disk_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled_with_zeros: bool
) -> None:
    save_model = openvino.save_model

    def cut_off(model: openvino.Model, xml: Path, **options: Any) -> None:
        save_model(model, xml, **options)
        weights = xml.with_suffix(".bin")
        content = weights.read_bytes()
        weights.write_bytes(bytes(len(content)) if filled_with_zeros else content[: len(content) // 2])

    monkeypatch.setattr(openvino, "save_model", cut_off)
    with pytest.raises(NotSaved, match="^the network cannot be written: .*; is the disk full"):
        save_network(small_cnn(), tmp_path / "model.xml", PROBE)


def test_files_of_other_answers_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model, other = openvino.save_model, small_cnn(scale=0.5)
    monkeypatch.setattr(openvino, "save_model", lambda _model, xml, **options: save_model(other, xml, **options))
    with pytest.raises(NotSaved, match="its files give other answers"):
        save_network(small_cnn(), tmp_path / "model.xml", PROBE)
