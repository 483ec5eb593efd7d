"""The main path over HTTP: image in, answer out, feedback, admin and mirror, and all of it after a restart."""

import re
from pathlib import Path

import requests

from devtools.running import RunningSite


def _form(session: requests.Session, url: str, page: str, **data: str) -> dict[str, str]:
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', session.get(url + page, timeout=60).text)
    assert token
    return {"csrfmiddlewaretoken": token[1], **data}


def _admin(site: RunningSite) -> requests.Session:
    session = requests.Session()
    name, password = site.login
    data = _form(session, site.url, "/admin/login/", username=name, password=password, next="/admin/")
    answer = session.post(f"{site.url}/admin/login/", data=data, timeout=60)
    assert "Log out" in answer.text
    return session


def test_answers_and_feedback_survive_a_restart(data_dir: Path, coffee: bytes, chelsea: bytes) -> None:
    with RunningSite(data_dir) as site:
        answer = site.predict(coffee)
        assert answer.status_code == 200
        body = answer.json()
        assert body["prediction"] == "espresso"
        assert body["score"] > 0.9
        assert body["model"] == "efficientnet-lite0@1"

        assert site.predict(chelsea).json()["prediction"] in {"tiger_cat", "Egyptian_cat", "tabby"}

        page = _through_the_page(site, coffee)
        assert '<h1 id="answer">espresso</h1>' in page.text
        path = page.url.removeprefix(site.url)

        _say_wrong(site, path, expected_label="cup", comment="it is the cup that matters")
        mirror = (site.data_dir / "feedback").read_text()
        assert mirror.count("\n") == 1
        assert "it is the cup that matters" in mirror

        admin = _admin(site)
        assert "it is the cup that matters" in admin.get(f"{site.url}/admin/feedback/feedback/", timeout=60).text
        predictions = admin.get(f"{site.url}/admin/predictions/prediction/", timeout=60).text
        assert predictions.count('class="thumbnail"') == 3
        output = site.output

    with RunningSite(data_dir) as site:
        assert "password" not in site.output  # the login is shown once
        site.output = output
        assert site.get(f"/api/predictions/{body['id']}").json()["prediction"] == "espresso"
        assert "espresso" in site.get(path).text
        assert site.predict(coffee).json()["prediction"] == "espresso"
        admin = _admin(site)
        assert admin.get(f"{site.url}/admin/predictions/prediction/", timeout=60).text.count('class="thumbnail"') == 4
        assert (site.data_dir / "feedback").read_text() == mirror


def _through_the_page(site: RunningSite, photo: bytes) -> requests.Response:
    files = {"file": ("Coffee.JPG", photo, "image/jpeg")}
    answer = requests.post(f"{site.url}/", files=files, timeout=60)
    assert [step.status_code for step in answer.history] == [303]
    assert answer.status_code == 200
    return answer


def _say_wrong(site: RunningSite, path: str, **data: str) -> None:
    session = requests.Session()
    form = _form(session, site.url, path, verdict="wrong", **data)
    answer = session.post(f"{site.url}{path}feedback/", data=form, timeout=60)
    assert "Thank you" in answer.text


def test_legacy_endpoints_keep_their_answers(site: RunningSite, coffee: bytes) -> None:
    answer = requests.post(f"{site.url}/predict", files={"file": ("c.jpg", coffee)}, timeout=60)
    assert answer.status_code == 200
    assert set(answer.json()) == {"success", "prediction", "score"}
    rejected = requests.post(f"{site.url}/predict", json={"file": "c.jpg"}, timeout=60)
    assert rejected.status_code == 400
    assert rejected.json() == {"success": False, "prediction": None, "score": None}
    report = requests.post(f"{site.url}/feedback", data={"report": "That was no coffee."}, timeout=60)
    assert report.status_code == 200
    assert (site.data_dir / "feedback").read_text() == "That was no coffee.\n"


def test_upload_of_200_megabytes_is_answered_and_not_cut_off(site: RunningSite) -> None:
    stored = list((site.data_dir / "uploads").rglob("*.*"))
    answer = requests.post(f"{site.url}/api/predict", files={"file": ("big.jpg", b"\xff" * 200_000_000)}, timeout=120)
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"
    assert list((site.data_dir / "uploads").rglob("*.*")) == stored
    assert site.get("/readyz").status_code == 200


def test_upload_page_says_that_a_picture_is_too_large(site: RunningSite) -> None:
    answer = requests.post(f"{site.url}/", files={"file": ("big.jpg", b"\xff" * 30_000_000)}, timeout=120)
    assert answer.status_code == 413
    assert "This picture is too large. At most 20 MB are accepted." in answer.text


def test_rejects_an_idempotency_key_that_is_not_ascii(site: RunningSite, coffee: bytes) -> None:
    headers = {"Idempotency-Key": "schlüssel".encode()}
    answer = requests.post(f"{site.url}/api/predict", files={"file": coffee}, headers=headers, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-idempotency-key")
