"""Networks that compute in int8."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from worker.inference.graph.grouping import with_groups
from worker.inference.graph.head import find_head
from worker.inference.graph.quantization import CannotQuantize, quantized, saturates
from worker.inference.tests.tiny_networks import compute, noise, small_cnn


def _runtime_precisions(model: openvino.Model) -> Counter[str]:
    """What the processor computes the layers in, such as `Convolution u8`."""
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    infos: list[Any] = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    return Counter(f"{_text(info['layerType'])} {_text(info['runtimePrecision'])}" for info in infos)


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def test_convolutions_compute_in_int8_and_the_last_layer_in_f32() -> None:
    precisions = _runtime_precisions(quantized(small_cnn(), noise(8)))
    assert precisions["Convolution u8"] + precisions["Convolution i8"] == 2
    assert precisions["FullyConnected f32"] == 1


@pytest.mark.skipif(saturates(openvino.Core()), reason="this processor adds int8 products with saturation")
def test_answers_stay_nearly_the_same() -> None:
    network, images = small_cnn(scale=0.3), noise(64)
    expected, found = compute(network, images), compute(quantized(network, images[:16]), images)
    assert np.abs(found - expected).max() < 0.03
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.9
    assert np.abs(found.sum(1) - 1).max() < 1e-5


def test_survives_being_saved(tmp_path: Path) -> None:
    network, images = small_cnn(), noise(4)
    int8 = quantized(network, images)
    openvino.save_model(int8, tmp_path / "model.xml", compress_to_fp16=False)
    assert np.array_equal(compute(openvino.Core().read_model(tmp_path / "model.xml"), images), compute(int8, images))


def test_zero_stays_exactly_zero() -> None:
    """Padding is zero: a range in which zero is between two levels would shift every border."""
    int8 = quantized(small_cnn(), noise(8))
    found = [node for node in int8.get_ops() if node.get_type_name() == "FakeQuantize"]
    assert found
    for node in found:
        low, high = (float(node.input_value(port).get_node().get_data()) for port in (1, 2))
        levels = low + np.arange(256) * (high - low) / 255
        assert np.abs(levels).min() < 1e-6 * (high - low)


def test_groups_are_added_up_in_f32() -> None:
    int8 = quantized(with_groups(small_cnn(), [[0, 1], [2, 3, 4]]), noise(8))
    weights = [node.get_output_element_type(0).get_type_name() for node in int8.get_ops()]
    assert weights.count("i8") == 2  # the convolutions; neither the last layer nor the sums


def test_features_are_found_in_int8_networks_too() -> None:
    head, before = find_head(quantized(small_cnn(), noise(8))), find_head(small_cnn())
    assert head is not None and before is not None
    assert head.size == before.size
    assert head.is_pooled


def test_rejects_what_cannot_be_quantized() -> None:
    int8 = quantized(small_cnn(), noise(2))
    with pytest.raises(CannotQuantize, match="quantised already"):
        quantized(int8, noise(2))
    with pytest.raises(CannotQuantize, match="not finite"):
        quantized(small_cnn(scale=1e38), noise(2))
    with pytest.raises(CannotQuantize, match="no images"):
        quantized(small_cnn(), [])


def test_the_network_itself_does_not_change() -> None:
    network, images = small_cnn(), noise(2)
    before = compute(network, images)
    quantized(network, images)
    assert np.array_equal(compute(network, images), before)


@pytest.mark.skipif(
    saturates(openvino.Core()), reason="only a processor that does not saturate can also be limited to saturate"
)
def test_notices_a_processor_without_vnni() -> None:
    """OpenVINO's kernels can be limited to the instructions of older processors, with real saturation."""
    script = (
        "import openvino; from worker.inference.graph.quantization import saturates; print(saturates(openvino.Core()))"
    )
    limited = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
    assert subprocess.check_output([sys.executable, "-c", script], env=limited, text=True).strip() == "True"
