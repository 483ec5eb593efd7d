"""The web app manifest, the icons, and what other sites show for a link."""

from __future__ import annotations

import re

import PIL.Image
import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from predictions.tests.fakes import stored_prediction

pytestmark = pytest.mark.django_db


def _file(address: str) -> str:
    """Returns the path of a static file. Fails if there is none."""
    path = finders.find(address.removeprefix("/static/"))
    assert isinstance(path, str), address
    return path


def _content(page: str, name: str) -> str:
    """Returns the content of the `<meta>` element with this name or property."""
    found = re.search(rf'<meta (?:name|property)="{name}" content="([^"]*)"', page)
    assert found, name
    return found[1]


def test_manifest_has_its_own_type_and_may_be_cached(client: Client) -> None:
    response = client.get("/manifest.webmanifest")
    assert response.status_code == 200
    assert response["Content-Type"] == "application/manifest+json"
    assert "max-age=3600" in response["Cache-Control"]
    assert response.json()["start_url"] == "/"
    assert response.json()["display"] == "standalone"


def test_icons_of_the_manifest_have_the_sizes_that_it_says(client: Client) -> None:
    icons = client.get("/manifest.webmanifest").json()["icons"]
    for icon in icons:
        path = _file(icon["src"])
        if icon["type"] == "image/png":
            with PIL.Image.open(path) as picture:
                assert f"{picture.width}x{picture.height}" == icon["sizes"]
    purposes = {(icon["sizes"], icon.get("purpose", "any")) for icon in icons}
    assert {("192x192", "any"), ("512x512", "any"), ("192x192", "maskable"), ("512x512", "maskable")} <= purposes


def test_maskable_icons_have_no_transparent_corner(client: Client) -> None:
    for name in ("icons/maskable-192.png", "icons/maskable-512.png", "icons/touch-180.png"):
        with PIL.Image.open(_file(name)) as picture:
            assert picture.convert("RGBA").getpixel((0, 0)) == (29, 95, 191, 255), name


@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/docs", "/admin/login/"])
def test_every_page_names_its_icons(client: Client, path: str) -> None:
    links = dict(re.findall(r'<link rel="([\w-]+)" href="([^"]*)"', client.get(path).text))
    assert links["manifest"] == "/manifest.webmanifest"
    with PIL.Image.open(_file(links["apple-touch-icon"])) as picture:
        assert picture.size == (180, 180)
    assert _file(links["icon"])


def test_policy_allows_the_manifest(client: Client) -> None:
    assert "manifest-src 'self'" in client.get("/")["Content-Security-Policy"]


@pytest.mark.parametrize("cookies", [{}, {"messages": "x"}])  # the cached page, and the one that is rendered anew
def test_links_are_shown_with_absolute_addresses(client: Client, cookies: dict[str, str]) -> None:
    for host in ("localhost", "127.0.0.1"):
        client.cookies.load(cookies)
        page = client.get("/", headers={"host": host}).text
        assert _content(page, "og:url") == f"http://{host}/"
        assert _content(page, "og:image") == f"http://{host}/static/icons/card.png"
        assert _content(page, "og:title") == "What is in the picture?"
        assert _content(page, "description")
    with PIL.Image.open(_file("icons/card.png")) as picture:
        assert picture.size == (int(_content(page, "og:image:width")), int(_content(page, "og:image:height")))


def test_a_link_to_a_result_shows_neither_picture_nor_label(client: Client) -> None:
    prediction = stored_prediction(label="Eskimo_dog", file_name="Anna.png", top=[["Eskimo_dog", 0.6]])
    page = client.get(prediction.get_absolute_url()).text
    assert "Eskimo dog" in page
    head = re.findall(r"<meta [^>]*>", page)
    assert not [line for line in head if "Eskimo" in line or "Anna" in line or "/picture" in line]
    assert _content(page, "og:url").endswith(prediction.get_absolute_url())
    assert _content(page, "og:image").endswith("/static/icons/card.png")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/api/docs"])
def test_addresses_are_kept_from_other_sites(client: Client, path: str) -> None:
    """The address of a result is a secret: links to other sites must not carry it."""
    assert client.get(path)["Referrer-Policy"] == "same-origin"
