"""What a case keeps of an erased picture, and what the desk shows of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from feedback.models import Feedback
from predictions import erasing
from predictions.erasing import Kept
from predictions.exceptions import RequestRejected
from predictions.models import Image
from review import claims, undoing
from review.bulk import REOPEN, cases_decide, cases_plan
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "a" * 64
RIGHT, UNUSABLE = DecisionRequest("right"), DecisionRequest("unusable")
CORRECTED = DecisionRequest("corrected", "cup")


def _case(verdict: DecisionRequest | None = None) -> Case:
    case = open_case(sender=ADA)
    if verdict:
        case_decide(case_id=case.pk, reviewer=reviewer_named(), verdict=verdict)
    return Case.objects.get(pk=case.pk)


def _delete(case: Case) -> Kept:
    """Deletes the picture as its sender does."""
    return erasing.prediction_delete(case.prediction_id, visitor=ADA)


def _has_file() -> bool:
    return any(path.is_file() for path in Path(settings.MEDIA_ROOT).rglob("*"))


def _erase_url(*cases: Case) -> str:
    return "/admin/predictions/image/erase/?" + "&".join(f"id={case.image_id}" for case in cases)


def test_open_case_without_history_goes() -> None:
    assert _delete(_case()) == Kept.NOTHING
    assert not Case.objects.exists() and not _has_file()


def test_open_case_with_a_history_leaves_the_queue() -> None:
    case, ada = _case(RIGHT), reviewer_named()
    undoing.undo_last(ada)
    assert _delete(case) == Kept.NOTHING
    case.refresh_from_db()
    assert (case.state, case.decision_count, case.claimed_by) == ("erased", 2, None)
    assert claims.claim_next(ada) is None and not claims.claim(case, ada)


def test_flagged_case_leaves_the_queue() -> None:
    case = _case(DecisionRequest("flagged", note="What is this?"))
    _delete(case)
    case.refresh_from_db()
    assert case.state == "erased"


@pytest.mark.parametrize("verdict", [RIGHT, CORRECTED], ids=["right", "corrected"])
def test_picture_that_a_decision_needs_stays_without_anything_about_its_sender(verdict: DecisionRequest) -> None:
    case = _case(verdict)
    assert (_delete(case), _delete(case)) == (Kept.FOR_TRAINING, Kept.FOR_TRAINING)
    case.refresh_from_db()
    assert (case.state, case.prediction.file_name, case.prediction.sender) == ("decided", "", "")
    assert _has_file() and not case.image.is_erased


def test_unusable_picture_is_not_needed() -> None:
    assert _delete(_case(UNUSABLE)) == Kept.NOTHING
    assert not _has_file()


def test_lead_erases_the_picture_of_a_decided_case() -> None:
    case = _case(CORRECTED)
    sha256, decided_at = case.image.sha256, case.decided_at
    erasing.images_erase([case.image_id])
    case.refresh_from_db()
    assert not _has_file() and not Image.objects.filter(sha256=sha256).exists()
    assert (case.state, case.verdict, case.label, case.decided_at) == ("decided", "corrected", "cup", decided_at)
    assert case.decisions.count() == 1 and case.weight == 1
    assert case.image.is_erased and case.prediction.is_erased


def test_nobody_can_change_the_case_of_an_erased_picture() -> None:
    ada = reviewer_named()
    decided, flagged = _case(RIGHT), _case(DecisionRequest("flagged", note="?"))
    for case in (decided, flagged):
        erasing.images_erase([case.image_id])
        for change in (
            lambda case=case: undoing.case_reopen(case_id=case.pk, reviewer=ada),
            lambda case=case: case_decide(case_id=case.pk, reviewer=ada, verdict=RIGHT),
            lambda case=case: undoing.decision_undo(decision_id=case.decisions.get().pk, reviewer=ada),
        ):
            with pytest.raises(RequestRejected) as rejected:
                change()
            assert rejected.value.code == "erased"
    assert cases_plan(case_ids=[flagged.pk], reviewer=ada, verdict=RIGHT)[0].problem
    assert cases_decide(seen={flagged.pk: None}, reviewer=ada, verdict=RIGHT).stored == []
    for plan in cases_plan(case_ids=[decided.pk, flagged.pk], reviewer=ada, verdict=DecisionRequest(REOPEN)):
        assert plan.problem == "The picture of this case was erased."


def test_undo_passes_over_erased_pictures() -> None:
    ada = reviewer_named()
    first = _case(RIGHT)
    for verdict in (RIGHT, DecisionRequest("flagged", note="?")):
        erasing.images_erase([_case(verdict).image_id])
    assert undoing.undo_last(ada)[0].case_id == first.pk
    with pytest.raises(RequestRejected, match="There is nothing to undo"):
        undoing.undo_last(ada)


def test_desk_shows_the_case_of_an_erased_picture(lead: Client) -> None:
    decided, flagged = _case(RIGHT), _case(DecisionRequest("flagged", note="?"))
    for case in (decided, flagged):
        assert "Erase this picture" in lead.get(f"/admin/review/case/{case.pk}/focus/").text
        erasing.images_erase([case.image_id])
        page = lead.get(f"/admin/review/case/{case.pk}/focus/").text
        assert "The picture was erased." in page
        assert "Erased, erased" not in " ".join(re.sub("<[^>]*>", "", page).split())
        for button in ("Erase this picture", "Reopen</button>", "Undo this", 'value="right"'):
            assert button not in page
    for address in (
        "?state=all",
        "?state=decided",
        "?state=erased",
        "?state=flagged",
        "grid/?state=all",
        "statistics/",
    ):
        assert lead.get(f"/admin/review/case/{address}").status_code == 200
    assert f"/admin/review/case/{flagged.pk}/focus/" in lead.get("/admin/review/case/?state=erased").text
    for name in ("predictions/prediction", "predictions/image", "feedback/feedback"):
        assert lead.get(f"/admin/{name}/").status_code == 200
    for image in Image.objects.all():
        assert lead.get(f"/admin/predictions/image/{image.pk}/change/").status_code == 200


def test_lead_erases_pictures_in_the_admin(lead: Client) -> None:
    cases = [_case(), _case(RIGHT)]
    ids = [case.image_id for case in cases]
    action = {"action": "erase", "_selected_action": ids}
    assert set(lead.post("/admin/predictions/image/", action)["Location"].split("?")[1].split("&")) == {
        f"id={pk}" for pk in ids
    }
    assert "Erase 2 pictures" in lead.get(_erase_url(*cases)).text
    assert _has_file(), "nothing is erased yet"
    assert lead.post(_erase_url(*cases)).status_code == 302
    assert not _has_file()
    assert not Feedback.objects.filter(erased_at__isnull=True).exists()
    assert LogEntry.objects.count() == 2
    assert "erased already" in lead.get(_erase_url(*cases)).text


def test_pictures_erased_before_a_busy_one_are_logged(lead: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first, busy = _case(), _case(RIGHT)
    erase_rows = erasing._erase_rows

    def erase_unless_busy(image_id: int, *arguments: Any) -> Kept:
        if image_id == busy.image_id:
            raise erasing._SentMeanwhile
        return erase_rows(image_id, *arguments)

    monkeypatch.setattr(erasing, "_erase_rows", erase_unless_busy)
    page = lead.post(_erase_url(first, busy), follow=True).text
    assert "This picture is being sent all the time." in page and "Erased pictures: 1." in page
    assert [entry.object_id for entry in LogEntry.objects.all()] == [str(first.image_id)]


def test_erasing_page_takes_as_many_queries_for_many_pictures(lead: Client) -> None:
    def queries(*cases: Case) -> int:
        with CaptureQueriesContext(connection) as captured:
            page = lead.get(_erase_url(*cases)).text
        assert all(f"/predictions/{case.prediction_id}/thumbnail" in page for case in cases)
        return len(captured)

    cases = [_case() for _ in range(3)]
    lead.get(_erase_url(*cases))
    assert queries(cases[0]) == queries(*cases)


def test_list_of_cases_leads_to_the_erasing_page(lead: Client) -> None:
    case = _case()
    response = lead.post("/admin/review/case/", {"action": "erase", "_selected_action": [case.pk]})
    assert response["Location"] == _erase_url(case)


def test_reviewers_cannot_erase(reviewer: Client) -> None:
    case = _case()
    assert reviewer.get(_erase_url(case)).status_code == reviewer.post(_erase_url(case)).status_code == 403
    assert "Erase this picture" not in reviewer.get(f"/admin/review/case/{case.pk}/focus/").text
    for name, pk in (("predictions/image", case.image_id), ("review/case", case.pk)):
        reviewer.post(f"/admin/{name}/", {"action": "erase", "_selected_action": [pk]})
    assert _has_file()


@pytest.mark.parametrize("query", ["", "id=", "id=x", "id=99999999999999999999", "id=%00", "id=٣", "id=999"])
def test_odd_ids_erase_nothing(lead: Client, query: str) -> None:
    _case()
    for response in (lead.get(f"/admin/predictions/image/erase/?{query}"),):
        assert response.status_code == 200
    assert lead.post(f"/admin/predictions/image/erase/?{query}").status_code == 302
    assert _has_file()
