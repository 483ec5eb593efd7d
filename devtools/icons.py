"""Makes the icons and the picture for links from `static/icon.svg`: `.venv/bin/python -m devtools.icons`.

It needs Chromium. The files are in version control: run it again after a change of the icon or of a text.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL.Image

from devtools.browsing import chromium
from devtools.running import ROOT

SOURCE = ROOT / "static" / "icon.svg"
FOLDER = ROOT / "static" / "icons"

# Systems cut an icon into their own shape: what is outside of a circle with 80 % of its width may be lost.
MASKABLE_SCALE = 0.78

CARD = """<style>
body { display: flex; flex-direction: column; justify-content: center; gap: 36px; width: 1200px; height: 630px;
  margin: 0; padding: 0 110px; box-sizing: border-box; background: #f5f6f8; color: #161b22; font-family: sans-serif }
div { display: flex; align-items: center; gap: 28px; color: #1d5fbf; font-size: 52px; font-weight: 600 }
svg { width: 112px; height: 112px }
h1 { margin: 0; font-size: 84px; line-height: 1.1; letter-spacing: -2px }
p { margin: 0; color: #535d6b; font-size: 38px; line-height: 1.4; text-wrap: balance }
</style>
<div>%s mlsite</div>
<h1>What is in the picture?</h1>
<p>Send a photo, and see what a neural network recognizes in it.</p>"""


def main() -> None:
    icon = SOURCE.read_text()
    square = re.sub(r' rx="\d+"', "", icon, count=1)  # without round corners, which the system cuts itself
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        page = browser.new_page()
        for size in (32, 192, 512):
            _draw(page, icon, size, FOLDER / f"icon-{size}.png")
        _draw(page, square, 180, FOLDER / "touch-180.png")
        for size in (192, 512):
            _draw(page, _smaller(square), size, FOLDER / f"maskable-{size}.png")
        page.set_viewport_size({"width": 1200, "height": 630})
        page.set_content(CARD % icon)
        _keep(page.screenshot(), FOLDER / "card.png")


def _smaller(square: str) -> str:
    """Returns the icon with everything but its ground scaled down around the middle."""
    ground, rest = square.split("/>", 1)
    drawing, end = rest.rsplit("</svg>", 1)
    offset = 16 * (1 - MASKABLE_SCALE)
    return f'{ground}/><g transform="translate({offset} {offset}) scale({MASKABLE_SCALE})">{drawing}</g></svg>{end}'


def _draw(page: Any, icon: str, size: int, path: Path) -> None:
    page.set_viewport_size({"width": size, "height": size})
    page.set_content(f"<style>body {{ margin: 0 }} svg {{ display: block; width: 100vw; height: 100vh }}</style>{icon}")
    _keep(page.screenshot(omit_background=True), path)


def _keep(screenshot: bytes, path: Path) -> None:
    with PIL.Image.open(BytesIO(screenshot)) as picture:
        picture.quantize(64, method=PIL.Image.Quantize.FASTOCTREE).save(path, optimize=True)


if __name__ == "__main__":
    main()
