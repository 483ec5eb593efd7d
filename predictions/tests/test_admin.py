"""The read-only admin of predictions and images, as reviewers see it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from predictions import selectors
from predictions.models import Prediction
from predictions.tests.fakes import stored_image, stored_prediction
from predictions.tests.pictures import picture

pytestmark = pytest.mark.django_db

PREDICTIONS = "/admin/predictions/prediction/"
IMAGES = "/admin/predictions/image/"


def _page(reviewer: Client, url: str) -> str:
    response = reviewer.get(url)
    assert response.status_code == 200, url
    return response.text


def _rows(page: str) -> int:
    return page.count('<th class="field-short')


def test_lists_predictions(reviewer: Client) -> None:
    done = stored_prediction(created_at=timezone.now() - timedelta(milliseconds=250))
    stored_prediction(state="failed", error_code="undecodable")
    page = _page(reviewer, PREDICTIONS)
    assert f'src="/predictions/{done.id}/thumbnail"' in page and 'alt="espresso"' in page
    for text in ("espresso", "95.1%", "Done", "Failed", "fake-net@1", "250 ms", str(done.id)[:8]):
        assert text in page
    assert f"{done.created_at:%Y-%m-%d %H:%M} UTC" in page
    assert _rows(page) == 2


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("state__exact=done", 2),
        ("state__exact=queued", 1),
        ("model_version=fake-net%401", 2),
        ("source__exact=api", 1),
        ("q=esPRESso", 1),
        ("q=eskimo", 1),
        ("q=holiday", 1),
        ("q=nothing+like+it", 0),
        ("o=4", 3),
        ("o=-8", 3),
    ],
)
def test_filters_searches_and_sorts(reviewer: Client, query: str, rows: int) -> None:
    stored_prediction()
    stored_prediction(label="Eskimo_dog", source=Prediction.Source.API)
    stored_prediction(state="queued", file_name="holiday.jpg")
    assert _rows(_page(reviewer, f"{PREDICTIONS}?{query}")) == rows


def test_writes_labels_as_the_desk_does(reviewer: Client) -> None:
    prediction = stored_prediction(label="Eskimo_dog")
    for url in (PREDICTIONS, f"{PREDICTIONS}{prediction.id}/change/"):
        page = _page(reviewer, url)
        assert "Eskimo dog" in page and ">Eskimo_dog<" not in page, url


def test_searches_by_id_and_by_hash(reviewer: Client) -> None:
    prediction, other = stored_prediction(), stored_prediction(stored_image(picture(seed=1)))
    assert prediction.image.sha256 != other.image.sha256
    for query in (
        str(prediction.id),
        str(prediction.id)[:8],
        prediction.image.sha256,
        prediction.image.sha256[:12],
    ):
        page = _page(reviewer, f"{PREDICTIONS}?q={query}")
        assert _rows(page) == 1 and str(prediction.id)[:8] in page, query


def test_filters_by_date(reviewer: Client) -> None:
    now = timezone.now()
    stored_prediction()
    stored_prediction(created_at=now - timedelta(days=800))
    assert f"?created_at__year={now.year}" in _page(reviewer, PREDICTIONS)
    assert _rows(_page(reviewer, f"{PREDICTIONS}?created_at__year={now.year}")) == 1


def test_shows_a_prediction(reviewer: Client) -> None:
    prediction = stored_prediction(precision="bf16")
    page = _page(reviewer, f"{PREDICTIONS}{prediction.id}/change/")
    for text in (
        "espresso 95.1%, cup 3.0%, coffee mug 1.0%",
        "coffee.jpg",
        "fake-net@1",
        ">bf16<",
        prediction.image.sha256[:12],
    ):
        assert text in page
    assert f'href="{IMAGES}{prediction.image_id}/change/"' in page
    assert 'name="_save"' not in page and "deletelink" not in page


@pytest.mark.parametrize("state", Prediction.State.values)
def test_shows_predictions_in_every_state(reviewer: Client, state: str) -> None:
    _page(reviewer, f"{PREDICTIONS}{stored_prediction(state=state).id}/change/")


def test_lists_and_searches_images(reviewer: Client) -> None:
    image = stored_image()
    stored_prediction(image)
    stored_prediction(image)
    page = _page(reviewer, IMAGES)
    assert _rows(page) == 1 and image.sha256[:12] in page and '<td class="field-times_sent">2</td>' in page
    assert _rows(_page(reviewer, f"{IMAGES}?q={image.sha256}&format__exact=PNG&o=6")) == 1
    assert _rows(_page(reviewer, f"{IMAGES}?q=ffff0000ffff")) == 0
    assert image.sha256 in _page(reviewer, f"{IMAGES}{image.pk}/change/")


def test_shows_an_image_and_links_to_no_stored_file(reviewer: Client) -> None:
    prediction = stored_prediction()
    page = _page(reviewer, f"{IMAGES}{prediction.image_id}/change/")
    assert f'src="/predictions/{prediction.pk}/thumbnail"' in page
    assert f'href="{prediction.get_absolute_url()}"' in page
    assert str(prediction.image.file.name) not in page


def test_shows_an_image_without_predictions(reviewer: Client) -> None:
    assert stored_image().sha256 in _page(reviewer, f"{IMAGES}{stored_image().pk}/change/")


@pytest.mark.parametrize("url", [PREDICTIONS, IMAGES])
def test_the_number_of_queries_does_not_depend_on_the_rows(reviewer: Client, url: str) -> None:
    counts = []
    for seeds in (range(5), range(5, 50)):
        for seed in seeds:
            stored_prediction(stored_image(picture(seed=seed)))
        with CaptureQueriesContext(connection) as queries:
            page = _page(reviewer, url)
        assert _rows(page) == seeds.stop
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 10


@pytest.mark.parametrize("url", [PREDICTIONS, IMAGES])
def test_nothing_can_be_changed(reviewer: Client, admin_client: Client, url: str) -> None:
    prediction = stored_prediction()
    key = prediction.id if url == PREDICTIONS else prediction.image_id
    for client in (reviewer, admin_client):
        assert client.get(f"{url}add/").status_code == 403
        assert client.post(f"{url}{key}/change/", {"label": "x"}).status_code == 403
        assert client.post(f"{url}{key}/delete/", {"post": "yes"}).status_code == 403
        actions = {"action": "delete_selected", "_selected_action": str(key), "post": "yes"}
        assert client.post(url, actions).status_code in {200, 302, 403}
    assert list(Prediction.objects.all()) == [prediction]


def test_redirects_anonymous_users_to_the_login(client: Client) -> None:
    response = client.get(PREDICTIONS)
    assert (response.status_code, response["Location"]) == (302, f"/admin/login/?next={PREDICTIONS}")


def test_search_finds_beginnings_of_file_names_and_any_part_of_a_label(reviewer: Client) -> None:
    stored_prediction(label="Eskimo_dog", file_name="Holiday 1.jpg")
    stored_prediction(label="hot_dog", file_name="a holiday.jpg")
    for text, rows in (("Holiday", 1), ("Holiday 1.jpg", 1), ("holiday", 0), ("DOG", 2), ("eskimo dog", 1), ("-", 0)):
        assert _rows(_page(reviewer, f"{PREDICTIONS}?q={text}")) == rows, text


def test_search_finds_a_limited_number(reviewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "MOST_FOUND", 2)
    newest = [stored_prediction(file_name=f"{number}.jpg") for number in range(3)][1:]
    found = selectors.predictions_found(Prediction.objects.all(), "espresso")
    assert sorted(found, key=lambda prediction: prediction.created_at) == newest


@pytest.mark.parametrize("url", [PREDICTIONS, IMAGES])
@pytest.mark.parametrize("text", ["espresso", "IMG_1.jpg", "0123abcd"])
def test_search_reads_no_whole_table(reviewer: Client, url: str, text: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's plan for a small table is to read it")
    stored_prediction()
    with CaptureQueriesContext(connection) as queries:
        _page(reviewer, f"{url}?q={text}")
    for query in queries:
        if not query["sql"].startswith(("SELECT", "WITH")):
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql'].replace('%', '%%')}")
            plan = [row[3] for row in cursor.fetchall()]
        assert not [step for step in plan if step.startswith("SCAN predictions_")], query["sql"]
