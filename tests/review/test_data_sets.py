"""A lead makes a data set of decided cases in the browser, with and without JavaScript."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from devtools.running import eventually
from tests.review.axe import Findings
from tests.review.conftest import OpenTab
from tests.review.desk import Desk

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False])
def test_lead_makes_and_downloads_a_data_set(desk: Desk, open_tab: OpenTab, tmp_path: Path, scripts: bool) -> None:
    cases = desk.open_cases(3, "teapot")
    tab = open_tab("lead", java_script_enabled=scripts)
    for case, button in zip(cases, ("Accept “teapot”", "The model was right"), strict=False):
        tab.goto(f"{desk.url}/{case}/focus/")
        tab.get_by_role("button", name=button).click()
        eventually(lambda case=case: desk.state(case) == "decided", "the decision")
    tab.goto(f"{desk.url}/")
    tab.get_by_role("link", name="Data sets").click()
    tab.get_by_role("link", name="New data set").click()
    findings = Findings("light")
    if scripts:
        findings.check(tab, "what to export")
    tab.get_by_role("button", name="Make this data set").click()

    download = tab.get_by_role("link", name="Download")
    if scripts:  # the page updates by itself
        download.wait_for()
        findings.check(tab, "data sets")
    else:
        tab.get_by_role("heading", name="Data sets").wait_for()  # wait for the page before reloading it
        eventually(lambda: tab.reload() and download.count(), "the data set")
    with tab.expect_download() as downloading:
        download.click()
    downloading.value.save_as(tmp_path / "set.zip")
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        names = archive.namelist()
        manifest = next(name for name in names if name.endswith("manifest.csv"))
        rows = list(csv.DictReader(io.StringIO(archive.read(manifest).decode("utf-8-sig"))))
    assert {row["label"] for row in rows} == {"teapot", desk.labels(1)[0]}
    assert len([name for name in names if name.endswith(".jpg")]) == 2
    assert not findings, "\n".join(findings)


def test_reviewers_cannot_make_data_sets(desk: Desk, open_tab: OpenTab) -> None:
    tab = open_tab("ada", expects="status of 403")
    tab.goto(f"{desk.url}/")
    assert tab.get_by_role("link", name="Data sets").count() == 0
    assert tab.goto(f"{desk.site.url}/admin/learning/export/").status == 403
