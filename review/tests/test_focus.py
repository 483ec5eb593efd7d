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
from predictions.labels import LabelIndex
from predictions.tests.pictures import animation
from review.claims import claim
from review.decisions import DecisionRequest, case_decide
from review.models import Case
from review.tests.cases import open_case, reviewer_named
from review.tests.focus import NEXT, key, me, page, take, url
from worker.inference.repository.labels import Label

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


def test_only_post_claims_a_case(reviewer: Client) -> None:
    """Browsers, extensions and crawlers may load any link in advance, with or without saying so."""
    case = open_case()
    for headers in ({}, {"Sec-Purpose": "prefetch;prerender"}):
        assert "Claim it" in reviewer.get(url(case), headers=headers).text
        reviewer.get(url(case, "claim"), headers=headers)
    assert Case.objects.get().claimed_by is None
    take(reviewer, case)
    case.refresh_from_db()
    assert case.claimed_by == me(reviewer) and case.is_claimed_at(timezone.now())
    assert 'class="review-claim" hidden' in page(reviewer, url(case))


def test_renews_a_claim_when_half_its_time_is_over(reviewer: Client) -> None:
    case = open_case()
    for minutes, is_renewed in ((14, False), (2, True), (-1, True)):
        until = timezone.now() + timedelta(minutes=minutes)
        Case.objects.update(claimed_by=me(reviewer), claimed_until=until, claimed_in_advance=False)
        take(reviewer, case)
        case.refresh_from_db()
        assert (case.claimed_until != until) is is_renewed


def _claim(client: Client, case: Case, method: str = "get") -> dict[str, Any]:
    response = getattr(client, method)(url(case, "claim"), headers={"Accept": "application/json"})
    assert response.status_code == 200
    return dict(response.json())


def test_tells_the_state_of_the_claim(reviewer: Client, lead: Client) -> None:
    case = open_case()
    assert _claim(reviewer, case) == {"holder": "nobody", "said": "not claimed", "seconds": 0}
    mine = _claim(reviewer, case, "post")
    case.refresh_from_db()
    assert (mine["holder"], mine["said"]) == ("me", f"claimed by you until {case.claimed_until:%H:%M} UTC")
    assert 14 * 60 < mine["seconds"] <= 15 * 60
    theirs: dict[str, Any] = {"holder": "other", "said": f"claimed by reviewer until {case.claimed_until:%H:%M} UTC"}
    for method in ("get", "post"):
        assert _claim(lead, case, method).items() >= theirs.items()
    assert theirs["said"] in page(lead, url(case)) and mine["said"] in page(reviewer, url(case))

    until = timezone.now() - timedelta(seconds=1)
    Case.objects.update(claimed_until=until)
    lapsed: dict[str, Any] = {"holder": "nobody", "said": f"your claim lapsed at {until:%H:%M} UTC", "seconds": 0}
    assert _claim(reviewer, case) == lapsed and lapsed["said"] in page(reviewer, url(case))
    assert _claim(lead, case)["said"] == "not claimed"
    assert _claim(lead, case, "post")["holder"] == "me"
    assert _claim(reviewer, case, "post")["said"].startswith("claimed by lead until ")

    case_decide(case_id=case.pk, reviewer=me(lead), verdict=DecisionRequest("right"))
    for method in ("get", "post"):
        assert _claim(reviewer, case, method) == {"holder": "decided", "said": "decided by lead", "seconds": 0}


def test_a_case_claimed_in_advance_can_be_opened_by_others(reviewer: Client, lead: Client) -> None:
    """Nobody looks at it yet."""
    case = open_case()
    reviewer.post(NEXT, {"in_advance": "1"})
    assert 'value="unusable"' in page(lead, url(case))
    assert _claim(lead, case, "post")["holder"] == "me"
    assert _claim(reviewer, case, "post")["holder"] == "other"


def test_says_how_many_cases_are_left_within_the_filters(reviewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    case, _other, _decided_case = open_case(), open_case(label="airship"), _decided()
    assert ">2 left</span>" in page(reviewer, url(case))
    assert ">1 left</span>" in page(reviewer, url(case) + "?predicted_label=airship")
    assert ">0 left</span>" in page(reviewer, url(case) + "?state=flagged")
    assert ">2 left</span>" in page(reviewer, url(case) + "?state=decided")
    monkeypatch.setattr("review.claims.LEFT_MAX", 1)
    assert ">more than 1 left</span>" in page(reviewer, url(case))


def test_names_the_synonyms_of_labels(reviewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    espresso = Label("1", "espresso", "espresso", ("caffè <b>",))
    index = LabelIndex([espresso, Label("2", "coffee_mug", "coffee_mug", ("mug", "coffee cup"))])
    monkeypatch.setattr("predictions.labels.index", lambda *_version: index)
    text = page(reviewer, url(open_case()))
    assert "caffè &lt;b&gt;" in text and "mug, coffee cup" in text


def test_shows_no_verdicts_for_a_case_that_somebody_else_claimed(reviewer: Client) -> None:
    case = open_case()
    claim(case, reviewer_named("grace"))
    text = page(reviewer, url(case))
    assert "claimed by grace until " in text and 'data-key="n"' in text
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
        url(case, "claim"),
        url(case, "decide"),
        url(case, "reopen"),
        "/admin/review/case/undo/",
    ):
        assert client.post(address).status_code == 403, address
