"""The content security policy forbids inline scripts and styles, and no page has any."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.review.conftest import OpenTab
from tests.review.desk import Desk, wait_for_case
from tests.review.pages import fill_desk

pytestmark = pytest.mark.browser

INLINE = re.compile(r"<style|<script(?![^>]*\bsrc=)[^>]*>|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE)
STRICT = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "base-uri": "'none'"}


def _policy(response: Any) -> dict[str, str]:
    directives = response.headers["content-security-policy"].split(";")
    return {name: value for name, _space, value in (directive.strip().partition(" ") for directive in directives)}


def test_every_page_has_a_strict_policy_and_nothing_inline(desk: Desk, open_tab: OpenTab) -> None:
    """The fixture `open_tab` checks that no console reports a violation."""
    pages = fill_desk(desk, open_tab)
    tab = open_tab("lead")
    for name, path in pages.paths.items():
        response = tab.goto(desk.site.url + path)
        assert response.status == 200, name
        policy = _policy(response)
        assert {key: policy.get(key) for key in STRICT} == STRICT, name
        assert INLINE.findall(response.text()) == [], name


def test_violations_are_blocked_and_reported(desk: Desk, open_tab: OpenTab) -> None:
    """An inline script or style does nothing, and the console reports it."""
    (case,) = desk.open_cases(1)
    tab = open_tab(expects="policy|Content Security Policy")
    violations: list[str] = []
    tab.on("console", lambda message: violations.append(message.text))
    tab.goto(f"{desk.url}/{case}/focus/")
    wait_for_case(tab, case)
    with tab.expect_console_message(lambda message: message.text.startswith("policy: style-src")):
        tab.evaluate(
            "document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\" onclick=\"window.ran = 1\">x</p>')"
        )
        tab.evaluate("document.querySelector('p[onclick]').click()")
    assert tab.evaluate("window.ran") is None
    assert any(text.startswith("policy: script-src") for text in violations)
