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
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from stress.photos import samples  # noqa: E402
from tests.running import RunningSite  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CASES = 120
GENERATED = 4000  # for the statistics only, which a hundred cases would leave empty
WINDOW: ViewportSize = {"width": 1280, "height": 860}
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, RunningSite(Path(folder) / "data") as site:
        _seed(site, f"--cases={CASES}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=list(CHROMIUM)
            )
            page = browser.new_page(viewport=WINDOW, color_scheme="light")
            _result(page, site)
            _desk(page, site)
            _seed(site, "--generated", "--force", f"--cases={GENERATED}", f"--statements={GENERATED * 5}")
            page.goto(f"{site.url}/admin/review/case/statistics/?days=30")
            _keep(page, "statistics")
            page.goto(f"{site.url}/admin/learning/export/add/")
            _keep(page, "data-set")
            browser.close()


def _seed(site: RunningSite, *arguments: str) -> None:
    command = [sys.executable, "manage.py", "seed_review", *arguments]
    environment = site.environment | {"HTTPS": "false", "SECRET_KEY_FILE": str(site.data_dir / "secret-key")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own command line


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
    desk = f"{site.url}/admin/review/case"
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
    page.get_by_role("button", name="Preview").click()
    _keep(page, "preview")


def _keep(page: Any, name: str, *, full: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    with PIL.Image.open(BytesIO(page.screenshot(full_page=full))) as picture:
        # 256 colours are enough for a page, and make a file of a third of the size.
        picture.convert("RGB").quantize(256, kmeans=2).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
