"""A lead looks at the models, activates one and goes back, with and without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.review.axe import Findings
from tests.review.conftest import OpenTab
from tests.review.desk import Desk
from tests.review.test_widths import CUT_OFF, SCROLLED
from worker.inference.repository import Repository
from worker.inference.tests.label_examples import install_with_labels

pytestmark = pytest.mark.browser

ACTIVE, OTHER = "efficientnet-lite0@1", "other-net@1"


@pytest.fixture
def repository(desk: Desk) -> Iterator[Repository]:
    """The models of the site. `other-net@1` has the same network, and labels that no picture can get."""
    repository = Repository(desk.site.data_dir / "models")
    version = repository.get(ACTIVE)
    install_with_labels(version, "other-net", [f"other label {number}" for number in range(1000)])
    yield repository
    repository.activate(ACTIVE)
    repository.remove(OTHER)


@pytest.mark.parametrize("scripts", [True, False])
def test_lead_activates_a_model_and_goes_back(
    desk: Desk, open_tab: OpenTab, repository: Repository, scripts: bool
) -> None:
    desk.open_cases(2, "teapot")
    tab = open_tab("lead", java_script_enabled=scripts)
    tab.goto(f"{desk.site.url}/admin/")
    tab.get_by_role("link", name="Models", exact=True).first.click()
    tab.get_by_role("link", name=f"Activate {OTHER}…").click()
    tab.get_by_text("2 open cases expect one that disappears").wait_for()
    assert repository.active_name() == ACTIVE
    tab.get_by_role("button", name=f"Activate {OTHER}").click()
    tab.get_by_text(f"The active model is {OTHER} now.").wait_for()
    assert repository.active_name() == OTHER
    tab.get_by_role("link", name=f"Go back to {ACTIVE}").click()
    tab.get_by_role("button", name=f"Go back to {ACTIVE}").click()
    tab.get_by_text(f"The active model is {ACTIVE} now.").wait_for()
    assert repository.active_name() == ACTIVE


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_are_accessible_and_fit(
    desk: Desk, open_tab: OpenTab, repository: Repository, scheme: str, width: int
) -> None:
    desk.open_cases(2, "teapot")
    _measure_other(desk, repository)
    models = "/admin/learning/installedmodel"
    tab = open_tab("lead", color_scheme=scheme, viewport={"width": width, "height": 860})
    findings = Findings(scheme)
    for path in ("/", "/other-net_401/change/", "/other-net_401/activate/"):
        tab.goto(f"{desk.site.url}{models}{path}")
        findings.check(tab, path)
        assert tab.evaluate(CUT_OFF) == [], path
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert width > 390 or tab.evaluate(SCROLLED) == [], path
    assert not findings, "\n".join(findings)


def _measure_other(desk: Desk, repository: Repository) -> None:
    """Stores a measurement with long texts."""
    texts = {
        "processor": "A Processor With a Long Name 9",
        "features": "avx2 avx512f avx512_vnni avx512_bf16 amx_bf16 amx_int8",
        "openvino": "2026.1.0",
        "model_version": OTHER,
        "weights_sha256": repository.get(OTHER).manifest.files["bin"].sha256,
        "chosen": "f32",
        "objection": "takes 0.83 of the CPU time of f32, more than 0.75",
        "measured_at": "2026-11-27 12:00:00",
    }
    desk.rows(
        f"INSERT OR REPLACE INTO predictions_precisionmeasurement ({', '.join(texts)},"  # noqa: S608
        f" f32_ms, bf16_ms, images, flips, largest_gap) VALUES ({', '.join('?' * len(texts))}, 0.12, 0.1, 36, 1, 0.01)",
        *texts.values(),
    )
