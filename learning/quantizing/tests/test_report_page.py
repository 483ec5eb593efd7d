"""The page that shows how an int8 version compares with its base."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from learning.models import FlippedAnswer, Quantization
from predictions import erasing
from predictions.models import Image
from predictions.tests.fakes import stored_prediction
from predictions.tests.pictures import picture
from review.tests.cases import own_prediction

pytestmark = pytest.mark.django_db


def _report(**changes: Any) -> Quantization:
    precisions = [
        {"name": "f32", "milliseconds": 9.74, "compared": 200, "agree": 200, "right": 30},
        {"name": "bf16", "milliseconds": 5.4, "compared": 32, "agree": 31, "right": None},
        {"name": "int8", "milliseconds": 0.094, "compared": 200, "agree": 196, "right": 29},
    ]
    values: dict[str, Any] = {
        "model_version": "fake-net@2",
        "base": "fake-net@1",
        "processor": "Some Processor 9",
        "calibrated_on": "160 stored pictures",
        "compared": 200,
        "labelled": 40,
        "flipped": 4,
        "precisions": precisions,
    }
    return Quantization.objects.create(**(values | changes))


def _flip(report: Quantization, **changes: Any) -> FlippedAnswer:
    values: dict[str, Any] = {
        "label": "Eskimo_dog",
        "score": 0.48,
        "new_label": "malamute",
        "new_score": 0.46,
        "score_of_new": 0.44,
    }
    return FlippedAnswer.objects.create(quantization=report, **(values | changes))


def _page(client: Client, report: Quantization) -> str:
    response = client.get(report.get_absolute_url())
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_only_leads_may_see_reports_and_their_pictures(lead: Client, reviewer: Client) -> None:
    report = _report()
    flip = _flip(report, file_name="a.png", thumbnail=picture("JPEG"))
    own = f"/admin/learning/quantization/flips/{flip.pk}/picture/"
    for address in ("/admin/learning/quantization/", report.get_absolute_url(), own):
        assert lead.get(address).status_code == 200, address
        assert reviewer.get(address).status_code == 403, address
        assert Client().get(address).status_code == 302, address
    assert lead.post(report.get_absolute_url()).status_code == 405


def test_list_says_what_its_numbers_are(lead: Client) -> None:
    _report(compared=1200, flipped=24)
    page = " ".join(lead.get("/admin/learning/quantization/").text.split())
    for text in ("<h1>Int8 versions</h1>", "Pictures compared", "Other answers than in f32", "1,200", "24 (2.0%)"):
        assert text in page, text


def test_shows_the_table(lead: Client) -> None:
    page = _page(lead, _report())
    assert "fake-net@2 computes fake-net@1 in int8" in page
    for text in ("9.7 ms", "5.4 ms", "0.094 ms", "96.9%", "98.0%", "75.0%", "72.5%", "Some Processor 9"):
        assert text in page, text


def test_says_that_the_right_answers_are_unknown(lead: Client) -> None:
    page = _page(lead, _report(labelled=0))
    assert "it is not known which answers are right" in page
    assert "75.0%" not in page


def test_shows_stored_and_foreign_pictures_whose_answer_flips(lead: Client) -> None:
    report = _report()
    prediction = own_prediction()
    _flip(report, image=prediction.image, known_label="malamute")
    foreign = _flip(report, file_name="<b>dogs</b>/1.png", thumbnail=picture("JPEG"))
    page = _page(lead, report)
    assert f'src="/predictions/{prediction.pk}/thumbnail/"' in page or str(prediction.pk) in page
    assert f"/admin/learning/quantization/flips/{foreign.pk}/picture/" in page
    assert "&lt;b&gt;dogs&lt;/b&gt;/1.png" in page and "<b>dogs" not in page
    assert "Eskimo dog" in page and "f32 gives it 44.0%" in page


def test_erased_pictures_are_not_shown(lead: Client) -> None:
    report = _report()
    being_erased, erased = own_prediction(), own_prediction()
    for prediction in (being_erased, erased):
        _flip(report, image=prediction.image, label=f"label of {prediction.pk}")
    Image.objects.filter(pk=being_erased.image_id).update(erased_at=timezone.now())
    stored_prediction(being_erased.image)
    erased_image = erased.image
    erased.delete()
    erased_image.delete()
    page = _page(lead, report)
    assert str(being_erased.pk) not in page
    assert str(erased.pk) not in page
    assert report.flips.count() == 1


def test_erasing_a_picture_takes_it_out_of_the_report(lead: Client, django_capture_on_commit_callbacks: Any) -> None:
    report = _report()
    prediction = own_prediction()
    _flip(report, image=prediction.image, label="its_label")
    assert "its label" in _page(lead, report)
    with django_capture_on_commit_callbacks() as remove_files:  # they run later, as if the process was killed
        erasing.images_erase([prediction.image_id])
    assert "its label" not in _page(lead, report)
    for callback in remove_files:
        callback()
    assert not report.flips.exists()
    prediction.refresh_from_db()
    assert prediction.image.is_erased
    assert str(prediction.pk) not in _page(lead, report)


def test_picture_that_is_sent_again_while_it_is_erased_stays_in_the_report(
    lead: Client, django_capture_on_commit_callbacks: Any
) -> None:
    report = _report()
    prediction = own_prediction()
    image = prediction.image
    _flip(report, image=image)
    with django_capture_on_commit_callbacks():
        erasing.images_erase([image.pk])
    again = stored_prediction(image)
    erasing.files_remove()
    page = _page(lead, report)
    assert str(again.pk) in page and str(prediction.pk) not in page


def test_number_of_queries_does_not_grow_with_the_flips(lead: Client, django_assert_max_num_queries: Any) -> None:
    report = _report()
    for _ in range(20):
        _flip(report, image=own_prediction().image)
    with django_assert_max_num_queries(8):
        _page(lead, report)


def test_unknown_reports_and_pictures_are_not_found(lead: Client) -> None:
    flip = _flip(_report())
    for path in ("999/change/", "abc/change/", f"flips/{flip.pk}/picture/", "flips/999/picture/"):
        assert lead.get(f"/admin/learning/quantization/{path}").status_code == 404, path
