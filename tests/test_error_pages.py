"""The page of an error that passes by itself, in a browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from devtools.running import RunningSite
from mlsite import errors
from predictions.exceptions import RequestRejected

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("javascript", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_the_page_comes_back_when_the_site_does(site: RunningSite, browser: Any, javascript: bool) -> None:
    rejection = RequestRejected("busy", "The site is busy.", status=503, retry_after=1)
    busy = errors.rejection_response(RequestFactory().get("/"), rejection)
    rejections = [busy.text] * 3

    def answer(route: Any) -> None:
        if rejections:
            headers = {"Content-Type": "text/html", "Retry-After": busy["Retry-After"]}
            route.fulfill(status=503, headers=headers, body=rejections.pop())
        else:
            route.continue_()

    context = browser.new_context(java_script_enabled=javascript)
    tab = context.new_page()
    tab.route(f"{site.url}/", answer)
    tab.goto(site.url)
    tab.get_by_text("This page tries again by itself every 1 second.").wait_for()
    tab.get_by_role("heading", name="What is in the picture?").wait_for()
    assert rejections == []
    context.close()
