"""The product has one name on all pages."""

import re

import pytest
from django.test import Client


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/docs", "/admin/login/"])
def test_page_titles_end_with_the_product_name(client: Client, path: str) -> None:
    title = re.search(r"<title>(.*?)</title>", client.get(path).text)
    assert title and title[1].endswith(" – mlsite")


def test_api_is_named_after_the_product(client: Client) -> None:
    assert "\n  title: mlsite\n" in client.get("/api/schema").text
