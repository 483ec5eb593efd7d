"""The page of one case: its content, and who may see it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from feedback.models import Feedback
from feedback.services import feedback_give
from predictions.tests.pictures import animation
from review.claims import claim
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import key, me, page, url

pytestmark = pytest.mark.django_db


def _decided(as_label: str = "cup", **changes: Any) -> Case:
    case = open_case(**changes)
    case_decide(case_id=case.pk, reviewer=reviewer_named("grace"), verdict=DecisionRequest("corrected", as_label))
    case.refresh_from_db()
    return case


def test_shows_answer_feedback_and_buttons(reviewer: Client) -> None:
    case = open_case(statements=3)
    text = page(reviewer, url(case))
    for part in (
        f'src="/predictions/{case.prediction_id}/picture"',
        "Accept “cup”",
        "3 people expect it",
        "The model was right: “espresso”",
        "coffee mug",
        "95.1%",
        "fake-net@1",
        "<strong>3</strong> wrong",
        "coffee.jpg",
        "Opened (feedback)",
        'data-key="a"',
        'data-key="3"',
        'name="verdict" value="unusable"',
    ):
        assert part in text, part
    assert "<script>" not in text and " style=" not in text and " onclick=" not in text


def test_says_that_an_animation_shows_its_first_frame(reviewer: Client) -> None:
    still, animated = open_case(), open_case()
    image = animated.image
    Path(image.file.path).write_bytes(animation("GIF"))
    image.format = "GIF"
    image.save()
    assert "Animation: first frame" in page(reviewer, url(animated))
    assert "Animation: first frame" not in page(reviewer, url(still))


def test_opening_a_case_claims_it(reviewer: Client) -> None:
    case = open_case()
    page(reviewer, url(case))
    case.refresh_from_db()
    assert case.claimed_by == me(reviewer) and case.is_claimed_at(timezone.now())


def test_renews_a_claim_when_half_its_time_is_over(reviewer: Client) -> None:
    case = open_case()
    for minutes, is_renewed in ((14, False), (2, True), (-1, True)):
        until = timezone.now() + timedelta(minutes=minutes)
        Case.objects.update(claimed_by=me(reviewer), claimed_until=until)
        page(reviewer, url(case))
        case.refresh_from_db()
        assert (case.claimed_until != until) is is_renewed


def test_prefetching_claims_nothing(reviewer: Client) -> None:
    case = open_case()
    assert reviewer.get(url(case), headers={"Sec-Purpose": "prefetch;prerender"}).status_code == 200
    case.refresh_from_db()
    assert case.claimed_by is None


def test_shows_no_verdicts_for_a_case_that_somebody_else_claimed(reviewer: Client) -> None:
    case = open_case()
    claim(case, reviewer_named("grace"))
    text = page(reviewer, url(case))
    assert "by grace for another 14" in text and 'data-key="n"' in text
    assert 'name="verdict"' not in text
    case.refresh_from_db()
    assert case.claimed_by == reviewer_named("grace")


def test_decided_case_can_only_be_reopened_by_a_lead(reviewer: Client, lead: Client) -> None:
    case = _decided()
    text = page(reviewer, url(case))
    assert "Corrected to “cup”" in text and "by grace" in text
    for button in ('name="verdict"', "Undo this", "Reopen"):
        assert button not in text
    assert "Reopen" in page(lead, url(case))
    case.refresh_from_db()
    assert case.claimed_by is None


def test_reviewer_can_undo_their_decision_on_its_page(reviewer: Client) -> None:
    case = open_case()
    decision = case_decide(case_id=case.pk, reviewer=me(reviewer), verdict=DecisionRequest("unusable"))
    text = page(reviewer, url(case))
    assert "Undo this" in text and f'name="decision" value="{decision.pk}"' in text


def test_history_is_shown_newest_first(reviewer: Client, lead: Client) -> None:
    case = _decided()
    lead.post(url(case, "reopen"), key() | {"note": "<b>look</b> again"})
    case_decide(case_id=case.pk, reviewer=me(reviewer), verdict=DecisionRequest("flagged", note="which\nof them?"))
    text = page(reviewer, url(case)).partition('class="history"')[2]
    order = [
        text.index(part) for part in ("by reviewer", "which<br>of them?", "Reopened", "Corrected: cup", "Opened (")
    ]
    assert order == sorted(order)
    assert "&lt;b&gt;look&lt;/b&gt; again" in text


def test_shows_other_expected_labels_and_words(reviewer: Client) -> None:
    case = open_case(statements=2)
    feedback_give(prediction=case.prediction, author="x", verdict="unsure")
    feedback_give(prediction=case.prediction, author="y", verdict="wrong", expected_words="a “Bialetti”")
    Feedback.objects.filter(author="author 0").update(expected_label="coffee_mug")
    text = page(reviewer, url(case))
    assert "<strong>1</strong> not sure" in text and "Something else: “a “Bialetti””" in text
    assert 'name="label" value="coffee_mug"' in text, "it has a button"


def test_folds_long_comments_and_shows_the_newest(reviewer: Client) -> None:
    case = open_case()
    for number in range(12):
        feedback_give(prediction=case.prediction, author=f"x{number}", verdict="wrong", comment=f"no {number}")
    feedback_give(prediction=case.prediction, author="long", verdict="wrong", comment="word " * 2000)
    text = page(reviewer, url(case))
    assert "no 11" in text and "no 0<" not in text and "Only the newest comments are shown." in text
    assert text.count("word ") >= 2000 and "<details><summary>" in text


def test_escapes_comments_and_shows_invisible_characters(reviewer: Client) -> None:
    case = open_case()
    comment = "<script>alert(1)</script> \u202etxet\u202c \x07bell \u2028 end"
    Feedback.objects.create(prediction=case.prediction, image=case.image, verdict="wrong", comment=comment)
    text = page(reviewer, url(case))
    assert "<script>alert(1)" not in text and "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "[U+202E]txet[U+202C]" in text and "[U+0007]bell" in text and "[U+2028]" in text
    assert not any(sign in text for sign in "\u202e\u202c\x07\u2028")


def test_case_without_feedback_says_why_it_is_open(reviewer: Client) -> None:
    text = page(reviewer, url(open_case(statements=0)))
    assert "This case is part of the audit sample." in text and "Accept “" not in text


def test_similar_cases_are_ordered_by_what_they_have_in_common(reviewer: Client) -> None:
    alike = _decided("cup")
    elsewhere = _decided("coffee_mug", label="airship", expected="cup")
    strange = _decided("coffee_mug", label="airship", expected="coffee_mug")
    waiting = open_case(expected="coffee_mug")
    case = open_case()
    text = page(reviewer, url(case)).partition("Like this one")[2].partition("History")[0]
    order = [text.index(f"/case/{other.pk}/focus/") for other in (alike, elsewhere, waiting)]
    assert order == sorted(order), "both labels in common first, undecided last"
    assert f"/case/{strange.pk}/" not in text and f"/case/{case.pk}/" not in text
    assert "→ cup" in text and "espresso?" in text


def test_says_that_the_picture_is_missing(reviewer: Client) -> None:
    case = open_case()
    case.image.file.storage.delete(case.image.file.name or "")
    text = page(reviewer, url(case))
    assert "The picture is no longer stored." in text and 'value="unusable"' in text


@pytest.mark.parametrize("number", [0, 10**6, 10**30])
def test_404_for_unknown_case(reviewer: Client, number: int) -> None:
    page(reviewer, f"/admin/review/case/{number}/focus/", 404)


def test_viewing_and_deciding_need_permissions(client: Client) -> None:
    case = open_case()
    assert client.get(url(case))["Location"] == f"/admin/login/?next={url(case)}"
    user = User.objects.create_user("clerk", is_staff=True)
    client.force_login(user)
    page(client, url(case), 403)
    user.user_permissions.add(Permission.objects.get(codename="view_case"))
    text = page(client, url(case))
    assert 'name="verdict"' not in text and 'data-key="n"' not in text
    case.refresh_from_db()
    assert case.claimed_by is None
    for address in (
        "/admin/review/case/next/",
        url(case, "decide"),
        url(case, "reopen"),
        "/admin/review/case/undo/",
    ):
        assert client.post(address).status_code == 403, address
