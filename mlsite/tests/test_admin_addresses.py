"""Odd ids and parameters in the addresses of the admin are no server errors."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.staticfiles import storage as staticfiles
from django.test import Client
from django_rq.models import Dashboard
from rq import Queue

from predictions.models import Prediction
from review.tests.cases import open_case

pytestmark = pytest.mark.django_db

ODD = ("0", "-1", "9" * 30, str(2**63), "٣", "\x00", "１", "abc", "a" * 3000, "\udcff", "1.5", "_3F", "..", "\u202e")

LISTS = (
    "/admin/predictions/prediction/",
    "/admin/predictions/image/",
    "/admin/feedback/feedback/",
    "/admin/review/case/",
    "/admin/review/case/grid/",
    "/admin/review/case/statistics/",
    "/admin/learning/export/",
    "/admin/auth/user/",
    "/admin/auth/group/",
)
PARAMETERS = (
    *("q", "p", "o", "e", "all", "_to_field", "created_at__year", "created_at__day", "created_at__gte"),
    *(
        "state",
        "state__exact",
        "model_version",
        "prediction__model_version",
        "label",
        "age",
        "days",
        "is_active__exact",
    ),
    *("id__in", "id__exact", "pk__in", "no_such_field", "image__sha256__startswith", "groups__id__exact"),
)


@pytest.fixture
def client() -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return client


def _quoted(value: str) -> str:
    return quote(value.encode(errors="surrogateescape"))


@pytest.mark.parametrize("value", ODD, ids=ascii)
def test_parameters_of_lists(client: Client, value: str) -> None:
    open_case()
    for path in LISTS:
        for name in PARAMETERS:
            response = client.get(f"{path}?{name}={_quoted(value)}")
            assert response.status_code in {200, 302, 400}, (path, name)


@pytest.mark.parametrize("value", ODD, ids=ascii)
def test_ids(client: Client, value: str) -> None:
    prediction, dashboard = (ContentType.objects.get_for_model(model).pk for model in (Prediction, Dashboard))
    for path in (
        *(f"{path}{{}}/change/" for path in LISTS),
        "/admin/predictions/prediction/{}/history/",
        "/admin/auth/user/{}/password/",
        "/admin/review/case/{}/focus/",
        "/admin/review/case/statistics/{}.csv",
        "/admin/learning/export/{}/download/",
        f"/admin/r/{prediction}/{{}}/",
        f"/admin/r/{dashboard}/{{}}/",
        "/admin/r/{}/1/",
        "/admin/{}/",
    ):
        response = client.get(path.format(_quoted(value)))
        assert response.status_code in {200, 301, 302, 404}, path


@pytest.mark.parametrize("value", ODD, ids=ascii)
def test_queue_pages(client: Client, queue: Queue, value: str) -> None:
    dashboard = "/admin/django_rq/dashboard/"
    for path in (
        *("queues/{}/", "queues/{}/failed/", "queues/0/{}/", "queues/0/{}/delete/", "queues/0/{}/results/1/"),
        *("workers/{}/", "workers/0/{}/", "workers/0/rq:worker:{}/", "schedulers/{}/", "stats.json/{}"),
        "cron-schedulers/{}/a/",
    ):
        response = client.get(dashboard + path.format(_quoted(value)))
        assert response.status_code in {200, 301, 302, 404}, path
        assert client.get(f"{dashboard}queues/0/?page={_quoted(value)}&desc={_quoted(value)}").status_code == 200


@pytest.mark.parametrize("error", [ValueError("Missing staticfiles manifest entry"), OverflowError("defect")], ids=repr)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/admin/predictions/image/"),
        ("post", "/admin/auth/user/add/"),
        ("get", "/admin/django_rq/dashboard/queues/0/"),
    ],
)
def test_a_defect_is_a_server_error(
    client: Client, queue: Queue, monkeypatch: pytest.MonkeyPatch, error: Exception, method: str, path: str
) -> None:
    def fails(_name: str) -> str:
        raise error

    monkeypatch.setattr(staticfiles.staticfiles_storage, "url", fails)
    assert getattr(client, method)(path).status_code == 500


def test_view_on_site_still_works(client: Client) -> None:
    case = open_case()
    kind = ContentType.objects.get_for_model(Prediction).pk
    response = client.get(f"/admin/r/{kind}/{case.prediction_id}/")
    assert (response.status_code, response["Location"]) == (302, f"http://testserver/predictions/{case.prediction_id}/")


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "visitor"])
def test_nul_in_a_cookie(name: str) -> None:
    client = Client(raise_request_exception=False)
    client.cookies[name] = "abcdefgh\x00"
    for path in ("/", "/admin/", "/admin/login/"):
        assert client.get(path).status_code in {200, 302}
