"""Makes the pictures of the documentation from a running site: `.venv/bin/python docs/screenshots.py`.

It starts the whole system in a temporary folder, fills it with `manage.py seed_review`, and looks at it with Chromium.
Needs what the tests need (`make test`), and Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stress.photos import samples  # noqa: E402
from tests.running import RunningSite  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CASES = 120
WINDOW = {"width": 1280, "height": 860}
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, RunningSite(Path(folder) / "data") as site:
        command = [sys.executable, "manage.py", "seed_review", f"--cases={CASES}"]
        environment = site.environment | {"HTTPS": "false", "SECRET_KEY_FILE": str(site.data_dir / "secret-key")}
        subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own command line
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=list(CHROMIUM)
            )
            page = browser.new_page(viewport=WINDOW, color_scheme="light")
            _result(page, site)
            _desk(page, site)
            browser.close()


def _result(page: Any, site: RunningSite) -> None:
    _name, photo = samples(3, seed=7)[2]
    page.goto(site.predict(photo).json()["links"]["page"])
    _keep(page, "result")
    page.get_by_label("No", exact=True).check()
    page.get_by_role("combobox").fill("cup")
    page.get_by_role("option").first.wait_for()
    _keep(page, "feedback", full=True)


def _desk(page: Any, site: RunningSite) -> None:
    name, password = site.login
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username:").fill(name)
    page.get_by_label("Password:").fill(password)
    page.get_by_role("button", name="Log in").click()
    desk = f"{site.url}/admin/feedback/case"
    page.goto(f"{desk}/next/")
    for _ in range(25):  # so that there is something to look back at
        page.keyboard.press("a" if page.get_by_role("button", name="Accept").count() else "r")
        page.wait_for_timeout(250)
    _keep(page, "focus")
    page.keyboard.press("?")
    _keep(page, "keys")
    page.goto(f"{desk}/")
    _keep(page, "queue")
    page.goto(f"{desk}/grid/?order=confident")
    for number in range(6):
        page.get_by_role("checkbox").nth(number).check()
    _keep(page, "grid")
    page.get_by_role("button", name="Look at what will happen").click()
    _keep(page, "preview")
    page.goto(f"{desk}/statistics/")
    _keep(page, "statistics")


def _keep(page: Any, name: str, *, full: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / f"{name}.png", full_page=full)


if __name__ == "__main__":
    main()
