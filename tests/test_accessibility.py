"""Every visitors' page, in every state, can be used by everybody.

axe-core finds what it can find. The other tests are for what it cannot see: targets, focus, zoom and spacing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from devtools.running import RunningSite
from tests.review.axe import Findings
from tests.visitor_pages import STATES, Visitor, pictures

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
ZOOMED = {"width": 320, "height": 256}  # a window of 1280 x 1024 pixels at 400 %
TARGET = 44

PRESSABLE = "a[href], button, input:not([type=hidden]), select, textarea, summary"

# What can be pressed and is smaller than a finger. Links in sentences may be, and the link that only the keyboard
# shows. A radio button or a checkbox is as large as its label.
SMALL_TARGETS = f"""(least) => [...document.querySelectorAll("{PRESSABLE}")]
    .filter((one) => one.checkVisibility() && getComputedStyle(one).display !== "inline" && !one.matches(".skip"))
    .map((one) => [one, (one.closest("label") ?? one).getBoundingClientRect()])
    .filter(([, {{ width, height }}]) => width < least || height < least)
    .map(([one, {{ width, height }}]) => `${{one.outerHTML.slice(0, 80)}}: ${{width}} x ${{height}}`)"""

# The element that has the focus, or null for the page itself: its outline, and whether it can be seen.
FOCUS = """() => {
    const focused = document.activeElement;
    if (!focused || focused === document.body || (window.wasFocused ??= new Set()).has(focused)) return null;
    window.wasFocused.add(focused);
    const other = focused.closest(".drop-zone") ?? focused.nextElementSibling;
    const shown = focused.checkVisibility({ opacityProperty: true }) ? focused : other;
    const { outlineStyle, outlineWidth } = getComputedStyle(shown);
    const { x, y, width, height } = shown.getBoundingClientRect();
    const top = document.elementFromPoint(x + width / 2, y + height / 2);
    return {
        name: focused.outerHTML.slice(0, 100),
        isOutlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
        isUncovered: Boolean(top) && (shown.contains(top) || top.contains(shown)),
    };
}"""

# What the page offers, without what it shows to the keyboard only.
OFFERED = f"""() => [...document.querySelectorAll("h1, h2, {PRESSABLE}")]
    .filter((one) => one.checkVisibility())
    .map((one) => one.textContent.trim() || one.getAttribute("aria-label") || one.name)"""

# What is wider than the window, and text that its element cuts off.
LOST = """() => [...document.querySelectorAll("body *")].filter((one) => {
    const { left, right, width } = one.getBoundingClientRect();
    if (!width || !one.checkVisibility() || one.closest("svg, .visually-hidden, .skip")) return false;
    const { clipPath, overflowX, overflowY } = getComputedStyle(one);
    if (clipPath !== "none" || one.matches("input, .site-name span, thead, thead *")) return false;
    const isCut = (overflow, inside, outside) => ["hidden", "clip"].includes(overflow) && inside > outside + 1;
    return left < -1 || right > innerWidth + 1
        || isCut(overflowX, one.scrollWidth, one.clientWidth) || isCut(overflowY, one.scrollHeight, one.clientHeight);
}).map((one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 40)}`)"""

# The policy forbids inline styles. A style sheet that a script constructs is none.
WITH_STYLE = """(style) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [sheet];
}"""
TEXT_SPACING = """* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }
    p { margin-bottom: 2em !important; }"""
LARGE_TEXT = "html { font-size: 200% !important; }"

MOVING = """() => [...document.querySelectorAll("*")].filter((one) => {
    const { transitionDuration, animationDuration } = getComputedStyle(one);
    return parseFloat(transitionDuration) > 0 || parseFloat(animationDuration) > 0;
}).map((one) => one.outerHTML.slice(0, 80))"""
WITHOUT_BORDER = """() => [...document.querySelectorAll(".button, .notice, .segments span")]
    .filter((one) => one.checkVisibility() && parseFloat(getComputedStyle(one).borderTopWidth) < 1)
    .map((one) => one.outerHTML.slice(0, 80))"""
BUTTONS = """() => [...document.querySelectorAll("nav a, button, .button, input, textarea")]
    .filter((one) => one.checkVisibility()).length"""


@pytest.fixture(scope="module")
def addresses(site: RunningSite, coffee: bytes) -> Iterator[dict[str, str]]:
    with pictures(site, coffee) as found:
        yield found


Opens = Callable[..., Visitor]


@pytest.fixture
def opens(site: RunningSite, browser: Any, addresses: dict[str, str], coffee: bytes) -> Iterator[Opens]:
    """Opens a page in a new browser window: `opens("upload", viewport=PHONE)`."""
    contexts = []

    def opens(name: str, **options: Any) -> Visitor:
        contexts.append(browser.new_context(**{"reduced_motion": "reduce"} | options))
        visitor = Visitor(site, contexts[-1].new_page(), coffee, addresses)
        STATES[name](visitor)
        visitor.tab.wait_for_load_state()
        return visitor

    yield opens
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_nothing(opens: Opens, scheme: str, window: dict[str, int]) -> None:
    findings = Findings(scheme)
    for name in STATES:
        visitor = opens(name, viewport=window, color_scheme=scheme)
        findings.check(visitor.tab, name)
        visitor.tab.context.close()
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("name", STATES)
def test_targets_are_large_enough_for_a_finger(opens: Opens, name: str) -> None:
    tab = opens(name).tab
    for window in (PHONE, DESKTOP):
        tab.set_viewport_size(window)
        assert tab.evaluate(SMALL_TARGETS, TARGET) == [], window


@pytest.mark.parametrize("name", STATES)
def test_focus_can_be_seen_wherever_it_goes(opens: Opens, name: str) -> None:
    tab = opens(name, viewport=DESKTOP).tab
    tab.evaluate("document.activeElement.blur()")
    reached = []
    tab.keyboard.press("Tab")
    while focus := tab.evaluate(FOCUS):
        reached.append(focus)
        tab.keyboard.press("Tab")
    assert len(reached) > 3, "the keyboard reaches the header and the page"
    assert [one["name"] for one in reached if not (one["isOutlined"] and one["isUncovered"])] == []


@pytest.mark.parametrize("name", STATES)
def test_nothing_is_lost_at_400_percent(opens: Opens, name: str) -> None:
    tab = opens(name, viewport=DESKTOP).tab
    offered = tab.evaluate(OFFERED)
    tab.set_viewport_size(ZOOMED)
    assert tab.evaluate("document.documentElement.scrollWidth") <= ZOOMED["width"]
    assert tab.evaluate(LOST) == []
    assert tab.evaluate(OFFERED) == offered


@pytest.mark.parametrize("name", STATES)
def test_nothing_is_lost_with_other_text(opens: Opens, name: str) -> None:
    tab = opens(name, viewport=PHONE).tab
    for style in (TEXT_SPACING, LARGE_TEXT):
        tab.evaluate(WITH_STYLE, style)
        assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], style
        assert tab.evaluate(LOST) == [], style


@pytest.mark.parametrize("name", STATES)
def test_respects_what_the_visitor_has_set(opens: Opens, name: str) -> None:
    """Less motion, and their own colours, in which only a border shows where a button is."""
    tab = opens(name, reduced_motion="reduce", forced_colors="active").tab
    assert tab.evaluate(MOVING) == []
    assert tab.evaluate("matchMedia('(forced-colors: active)').matches")
    assert tab.evaluate(WITHOUT_BORDER) == []


@pytest.mark.parametrize("name", STATES)
def test_paper_has_no_buttons(opens: Opens, name: str) -> None:
    tab = opens(name, color_scheme="dark").tab
    assert tab.evaluate(BUTTONS) > 0
    tab.emulate_media(media="print")
    assert tab.get_by_role("heading", level=1).is_visible()
    assert tab.evaluate(BUTTONS) == 0
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
