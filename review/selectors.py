"""What a reviewer is shown of one case: the answer, what people said of it, what was decided of it and of its like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Count
from django.utils import timezone

from feedback.models import Feedback
from review.decisions import effective
from review.models import Case, Decision

VOICES = 10  # statements with words in them, newest first
OTHERS = 6  # thumbnails in one row
HISTORY = 50  # decisions; more than that is a dispute that no page will settle


@dataclass(frozen=True)
class Choice:
    """One of the model's best labels. `people`: how many expect it."""

    number: int
    label: str
    score: float
    people: int


@dataclass(frozen=True)
class Said:
    """What the current statements say together.

    `verdicts`: (title, how many) for each that somebody gave. `expected`: (label, how many), most first.
    `voices`: the newest statements that say more than can be counted; `voices_more`: whether there are older ones.
    """

    verdicts: list[tuple[str, int]]
    expected: list[tuple[str, int]]
    voices: list[Feedback]
    voices_more: bool


@dataclass(frozen=True)
class CaseView:
    """One case as the focus view shows it. `history`: newest first."""

    case: Case
    choices: list[Choice]
    said: Said
    others: list[Case]
    history: list[Decision]
    has_picture: bool
    now: datetime

    @property
    def expected_people(self) -> int:
        """How many people expect the label that most expect."""
        return dict(self.said.expected).get(self.case.expected_label, 0)

    @property
    def other_expected(self) -> list[tuple[str, int]]:
        """What people expect besides that label and what the model offers anyway."""
        offered = {self.case.expected_label, *(choice.label for choice in self.choices)}
        return [(label, people) for label, people in self.said.expected if label not in offered]

    @property
    def standing(self) -> Decision | None:
        """The decision that the case's state comes from."""
        decisions = effective(reversed(self.history))
        return decisions[-1] if decisions else None

    @property
    def undone(self) -> set[int]:
        """The keys of the decisions that were taken back."""
        return {decision.undoes_id for decision in self.history if decision.undoes_id is not None}

    def claimed_by_other(self, reviewer: User) -> bool:
        return self.case.is_claimed_at(self.now) and self.case.claimed_by_id != reviewer.pk


def case_find(case_id: int) -> Case | None:
    """The case, with everything that belongs to it once. One query."""
    related = ("image", "prediction", "claimed_by", "decided_by")
    return Case.objects.select_related(*related).filter(pk=case_id).first()


def case_view(case: Case) -> CaseView:
    """Six queries at most, however many statements and cases there are. `case` comes from `case_find`."""
    said = _said(case)
    people = dict(said.expected)
    return CaseView(
        case=case,
        choices=[
            Choice(number, label, score, people.get(label, 0))
            for number, (label, score) in enumerate(case.prediction.top[:5], start=1)
        ],
        said=said,
        others=_others(case),
        history=list(case.decisions.select_related("reviewer").order_by("-number")[:HISTORY]),
        has_picture=case.image.file.storage.exists(str(case.image.file.name)),
        now=timezone.now(),
    )


def _said(case: Case) -> Said:
    current = case.feedback.current()
    counted = current.order_by().values_list("verdict", "expected_label").annotate(number=Count("pk"))
    verdicts: dict[str, int] = {}
    expected: dict[str, int] = {}
    for verdict, label, number in counted:
        verdicts[verdict] = verdicts.get(verdict, 0) + number
        if label:
            expected[label] = expected.get(label, 0) + number
    voices = list(current.exclude(comment="", expected_words="").order_by("-created_at", "-id")[: VOICES + 1])
    return Said(
        verdicts=[(title, verdicts[verdict]) for verdict, title in Feedback.Verdict.choices if verdict in verdicts],
        expected=sorted(expected.items(), key=lambda item: (-item[1], item[0])),
        voices=voices[:VOICES],
        voices_more=len(voices) > VOICES,
    )


def _others(case: Case) -> list[Case]:
    """Cases with the same answer or the same expectation: decided ones first, as they show how such cases go.

    Each query reads the end of one index, in the order of that index, and no more.
    """
    alike = Case.objects.exclude(pk=case.pk).order_by("-id").select_related(None)
    decided = alike.filter(state=Case.State.DECIDED)
    found = _unique(decided.filter(predicted_label=case.predicted_label)[:OTHERS])
    if case.expected_label:
        same_expectation = _unique(decided.filter(expected_label=case.expected_label)[:OTHERS])
        # Those that are alike in both respects tell the most.
        both = {pk: other for pk, other in found.items() if pk in same_expectation}
        found = both | _alternating(found, same_expectation)
    if len(found) < OTHERS:
        found |= _unique(alike.filter(state=Case.State.OPEN, predicted_label=case.predicted_label)[:OTHERS])
    return list(found.values())[:OTHERS]


def _unique(cases: Iterable[Case]) -> dict[int, Case]:
    return {case.pk: case for case in cases}


def _alternating(some: dict[int, Case], others: dict[int, Case]) -> dict[int, Case]:
    """Both, one after the other from each, so that neither crowds out the other."""
    places = [(place, which, pk) for which, cases in enumerate((some, others)) for place, pk in enumerate(cases)]
    everything = some | others
    return {pk: everything[pk] for _place, _which, pk in sorted(places)}
