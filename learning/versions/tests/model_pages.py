"""What the tests of the model pages share: addresses, forms, and what a page says."""

from __future__ import annotations

import re
from typing import Any

from django.test import Client

URL = "/admin/learning/installedmodel/"
OLD, NEW = "own@1", "own@2"
OLD_PAGE, NEW_PAGE = f"{URL}own_401/change/", f"{URL}own_402/change/"
ACTIVATE, ROLLBACK = f"{URL}own_402/activate/", f"{URL}rollback/"


def page_text(client: Client, address: str = URL, status: int = 200) -> str:
    response = client.get(address, follow=True)
    assert response.status_code == status
    return " ".join(response.text.split())


def form(**changes: str) -> dict[str, str]:
    return {"instead_of": OLD, "to": NEW} | changes


def said_after(response: Any) -> str:
    """What the page after a POST says."""
    assert response.redirect_chain == [(URL, 302)], response.redirect_chain
    return " ".join(re.sub("<[^>]*>", "", response.text.split('class="messagelist"')[1].split("</ul>")[0]).split())
