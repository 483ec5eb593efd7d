"""Makes the screenshots and the demo of the documentation: `.venv/bin/python docs/screenshots.py`.

It starts a site in a temporary folder, fills it with `manage.py seed_review`, and visits its pages with Chromium. It
needs the development dependencies (`make test` installs them) and Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import requests
from playwright.sync_api import ViewportSize

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from devtools.browsing import chromium  # noqa: E402
from devtools.running import RunningSite  # noqa: E402
from review.sample_photos import SAMPLES, samples  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CASES = 120
GENERATED = 4000  # more cases for the statistics, where a hundred would show little
_IMAGES_IN_VIEW_ARE_LOADED = """() => [...document.images]
    .filter((image) => image.checkVisibility() && image.getBoundingClientRect().top < innerHeight)
    .every((image) => image.complete && image.naturalWidth > 0)"""
WINDOW: ViewportSize = {"width": 1280, "height": 860}
DEMO_WINDOW: ViewportSize = {"width": 1000, "height": 700}
CAPTION_HEIGHT = 56  # pixels


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, RunningSite(Path(folder) / "data") as site:
        _seed(site, f"--cases={CASES}")
        with chromium() as browser:
            page = browser.new_page(viewport=WINDOW, color_scheme="light")
            _result(page, site)
            _desk(page, site)
            _seed(site, "--generated", "--force", f"--cases={GENERATED}", f"--statements={GENERATED * 5}")
            page.goto(f"{site.url}/admin/review/case/statistics/?days=30")
            _keep(page, "statistics")
            page.goto(f"{site.url}/admin/learning/export/add/")
            _keep(page, "data-set")
    with tempfile.TemporaryDirectory() as folder, RunningSite(Path(folder) / "data") as site, chromium() as browser:
        _demo(browser, site)


def _seed(site: RunningSite, *arguments: str) -> None:
    command = [sys.executable, "manage.py", "seed_review", *arguments]
    environment = site.environment | {"HTTPS": "false", "SECRET_KEY_FILE": str(site.data_dir / "secret-key")}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)  # noqa: S603 - our own command line


def _result(page: Any, site: RunningSite) -> None:
    # A tabby, which the model takes for an Egyptian cat.
    photo = next(photo for name, photo in samples(CASES) if name.startswith("chelsea"))
    page.goto(site.predict(photo).json()["links"]["page"])
    _keep(page, "result")
    page.get_by_text("No", exact=True).click()
    page.get_by_role("combobox").fill("tab")
    page.get_by_role("option").first.wait_for()
    _keep(page, "feedback", full=True)


def _log_in(page: Any, site: RunningSite) -> None:
    name, password = site.login
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username:").fill(name)
    page.get_by_label("Password:").fill(password)
    page.get_by_role("button", name="Log in").click()


def _desk(page: Any, site: RunningSite) -> None:
    _log_in(page, site)
    desk = f"{site.url}/admin/review/case"
    page.goto(f"{desk}/")
    page.get_by_role("button", name="Next for me").click()
    for _ in range(25):  # decisions to look back at
        page.keyboard.press("a" if page.get_by_role("button", name="Accept").count() else "r")
        page.wait_for_timeout(250)
    _keep(page, "focus")
    page.goto(f"{desk}/")
    _keep(page, "queue")
    page.goto(f"{desk}/grid/?order=confident")
    for number in range(6):
        page.get_by_role("checkbox").nth(number).check()
    _keep(page, "grid")
    page.get_by_role("button", name="Preview").click()
    _keep(page, "preview")


class Demo:
    """An animation whose frames are screenshots with a caption below."""

    def __init__(self) -> None:
        self.frames: list[PIL.Image.Image] = []
        self.milliseconds: list[int] = []
        self.font = PIL.ImageFont.load_default(size=24)

    def add(self, page: Any, caption: str, seconds: float) -> None:
        page.wait_for_load_state("networkidle")
        page.wait_for_function(_IMAGES_IN_VIEW_ARE_LOADED)
        with PIL.Image.open(BytesIO(page.screenshot())) as picture:
            frame = PIL.Image.new("RGB", (picture.width, picture.height + CAPTION_HEIGHT), "#1b2530")
            frame.paste(picture.convert("RGB"), (0, 0))
        PIL.ImageDraw.Draw(frame).text((24, picture.height + 14), caption, fill="#fff", font=self.font)
        self.frames.append(frame)
        self.milliseconds.append(int(seconds * 1000))

    def save(self, path: Path) -> None:
        first, *others = self.frames
        first.save(path, save_all=True, append_images=others, duration=self.milliseconds, loop=0, quality=70, method=6)


def _demo(browser: Any, site: RunningSite) -> None:
    """An animation of the whole loop for the README: a picture, a wrong answer, a correction, a reviewer's key."""
    demo = Demo()
    visitor = browser.new_context(viewport=DEMO_WINDOW, color_scheme="light").new_page()
    visitor.goto(site.url)
    demo.add(visitor, "A visitor drops a photo.", 2)
    photo = next(photo for name, photo in samples(len(SAMPLES)) if name.startswith("chelsea"))
    visitor.locator("#file").set_input_files({"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": photo})
    visitor.get_by_role("heading", name="Is this right?").wait_for()
    demo.add(visitor, "The model answers, and is wrong: it is a tabby.", 2.5)
    visitor.get_by_text("No", exact=True).click()
    demo.add(visitor, "One click on the right label corrects it.", 2)
    visitor.get_by_role("button", name="tabby").click()
    visitor.get_by_text("Thank you").wait_for()
    visitor.evaluate("scrollTo(0, 0)")
    demo.add(visitor, "The correction is stored, and waits for a reviewer.", 2)
    for _name, other in samples(4, seed=2):  # for the case that follows
        feedback = {"prediction": site.predict(other).json()["id"], "verdict": "wrong"}
        requests.post(f"{site.url}/api/feedback", json=feedback, timeout=60).raise_for_status()
    reviewer = browser.new_context(viewport=DEMO_WINDOW, color_scheme="light").new_page()
    _log_in(reviewer, site)
    reviewer.goto(f"{site.url}/admin/review/case/")
    reviewer.get_by_role("button", name="Next for me").click()
    reviewer.get_by_role("button", name="Accept “tabby”").wait_for()
    demo.add(reviewer, "The reviewer sees picture, answer and correction.", 2.5)
    case = reviewer.locator("#review").get_attribute("data-case")
    reviewer.keyboard.press("a")
    reviewer.locator(f'#review:not([data-case="{case}"])').wait_for()
    demo.add(reviewer, "One key, A, accepts it. The next case is there already.", 3)
    demo.save(IMAGES / "demo.webp")


def _keep(page: Any, name: str, *, full: bool = False) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_function(_IMAGES_IN_VIEW_ARE_LOADED)  # raises if an image is broken
    page.wait_for_timeout(500)
    with PIL.Image.open(BytesIO(page.screenshot(full_page=full))) as picture:
        # 256 colours suffice for a page, and make the file a third of the size.
        picture.convert("RGB").quantize(256, kmeans=2).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
