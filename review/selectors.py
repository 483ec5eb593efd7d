"""Reads cases for the pages of the desk: one case with its feedback, history and similar cases; search; counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from feedback.models import Feedback
from predictions import labels
from predictions.selectors import label_contains
from predictions.uploads.display import has_several_frames
from review.case_labels import AnsweredLabels, labels_of
from review.case_words import counts_as
from review.expectations import summary
from review.history import effective
from review.label_reopening import ACCOUNT
from review.models import Case, Decision

MAX_COMMENTS = 10
MAX_SIMILAR_CASES = 6  # thumbnails in one row
MAX_HISTORY = 50  # rows


@dataclass(frozen=True)
class LabelChoice:
    """One of the model's best labels, or one that such a label was split into.

    `number`: its key, if it has one. `score`: `None` if the model did not know the label. `people`: how many expect it.
    `is_answer`: whether the model is right if it is chosen. `gone`: says that it cannot be chosen any more.
    """

    number: int | None
    label: str
    score: float | None
    people: int
    is_answer: bool = False
    gone: str = ""


@dataclass(frozen=True)
class GoneExpectation:
    """A label that people expect and that cannot be chosen any more, with the labels to choose instead."""

    label: str
    people: int
    reason: str
    choices: list[LabelChoice]


@dataclass(frozen=True)
class FeedbackSummary:
    """The current feedback on a case.

    `verdicts`: (title, people) of each verdict that was given. `expected`: (label, people), most expected first.
    `comments`: the newest statements with a comment or words; `has_more_comments`: whether there are older ones.
    """

    verdicts: list[tuple[str, int]]
    expected: list[tuple[str, int]]
    comments: list[Feedback]
    has_more_comments: bool


@dataclass(frozen=True)
class CaseView:
    """One case as the focus view shows it to `reviewer`. `history`: newest first.

    `answer`, `expected_label` and `expected` have only labels that the reviewer can choose; see `review.case_labels`.
    `answer` and `expected_label` may be empty. `choices`: the model's best labels. `expected`: how many people expect
    each label. `gone_expected`: what people expect, and nobody can choose any more. `active_labels`: the
    active version, if the case is decided with its labels. `counts_as`: the label that a decided case counts as now, if
    that is another one.
    """

    case: Case
    reviewer: User
    answer: str
    choices: list[LabelChoice]
    expected_label: str
    expected: dict[str, int]
    gone_expected: list[GoneExpectation]
    active_labels: str
    counts_as: str
    feedback: FeedbackSummary
    similar_cases: list[Case]
    history: list[Decision]
    has_picture: bool
    is_erased: bool
    has_several_frames: bool
    now: datetime

    @property
    def expected_people(self) -> int:
        """How many people expect the case's expected label."""
        return self.expected.get(self.expected_label, 0)

    @property
    def other_expected(self) -> list[tuple[str, int]]:
        """The expected labels, with their counts, that no other button offers."""
        choices = [*self.choices, *(choice for gone in self.gone_expected for choice in gone.choices)]
        offered = {self.expected_label, *(choice.label for choice in choices if not choice.gone)}
        return [(label, people) for label, people in self.expected.items() if label not in offered]

    @property
    def shared_words(self) -> list[tuple[str, list[str]]]:
        """Words of this case that several labels share, such as `crane`, each with these labels."""
        if self.active_labels:
            return []  # the choices offer these labels
        words = dict.fromkeys(
            [label for label, _ in self.case.prediction.top] + [label for label, _ in self.feedback.expected]
        )
        found = [
            (word, [label.display_name for label in labels.meant_by(word, self.case.model_version)]) for word in words
        ]
        return [(word, meant) for word, meant in found if len(meant) > 1]

    @property
    def standing(self) -> Decision | None:
        """The decision that gives the case its state."""
        decisions = effective(reversed(self.history))
        return decisions[-1] if decisions else None

    @property
    def came_back(self) -> Decision | None:
        """The row that says why the case came back to the desk, if labels changed and nobody has decided it since."""
        for newest in self.history[:1]:
            if newest.kind == Decision.Kind.REOPEN and newest.reviewer.username == ACCOUNT:
                return newest
        return None

    @property
    def undone(self) -> set[int]:
        """The ids of the decisions that were undone."""
        return {decision.undoes_id for decision in self.history if decision.undoes_id is not None}

    @property
    def is_claimed_by_other(self) -> bool:
        return self.case.is_looked_at_by_other(self.reviewer, self.now)

    @property
    def may_decide(self) -> bool:
        return self.reviewer.has_perm("review.decide_case")

    @property
    def can_decide(self) -> bool:
        return self.may_decide and self.case.state not in Case.SETTLED and not self.is_claimed_by_other

    @property
    def can_undo(self) -> bool:
        is_mine = self.standing is not None and self.standing.reviewer_id == self.reviewer.pk
        return self.may_decide and is_mine and not self.is_erased

    @property
    def can_reopen(self) -> bool:
        may_reopen = self.reviewer.has_perm("review.reopen_case")
        return may_reopen and self.case.state != Case.State.OPEN and not self.is_erased

    @property
    def can_erase(self) -> bool:
        return not self.is_erased and self.reviewer.has_perm("predictions.erase_image")


def case_find(case_id: int) -> Case | None:
    """Returns the case with its related rows. One query."""
    related = ("image", "prediction", "claimed_by", "decided_by")
    return Case.objects.select_related(*related).filter(pk=case_id).first()


def case_view(case: Case, reviewer: User) -> CaseView:
    """Returns everything that the focus view shows. `case` comes from `case_find`.

    At most six queries, and four more if labels have changed.
    """
    feedback = _summary(case)
    # A settled case keeps the words that it was decided in.
    case_labels = AnsweredLabels(case) if case.state in Case.SETTLED else labels_of(case)
    expected = Counter[str]()
    for word, people in feedback.expected:
        expected[case_labels.meaning(word).label] += people
    del expected[""]
    offering = _Offering(case_labels, expected)
    return CaseView(
        case=case,
        reviewer=reviewer,
        answer=case_labels.meaning(case.predicted_label).label,
        choices=list(offering.of_answer(case.prediction.top)),
        expected_label=case_labels.meaning(case.expected_label).label if case.expected_label else "",
        expected=dict(expected.most_common()),
        gone_expected=list(offering.of_expectations(feedback.expected)),
        active_labels=case_labels.version_name,
        counts_as=counts_as(case),
        feedback=feedback,
        similar_cases=_similar_cases(case),
        history=list(case.decisions.select_related("reviewer").order_by("-number")[:MAX_HISTORY]),
        has_picture=bool(case.image.file) and case.image.file.storage.exists(str(case.image.file.name)),
        is_erased=not case.image.file,
        has_several_frames=has_several_frames(case.image),
        now=timezone.now(),
    )


@dataclass
class _Offering:
    """Makes the choices of a page. It offers each label once, and gives the first ones the keys from 1 to 9."""

    case_labels: AnsweredLabels
    expected: Counter[str]
    offered: set[str] = field(default_factory=set)

    def of_answer(self, top: Iterable[tuple[str, float]]) -> Iterator[LabelChoice]:
        meanings = [(word, score, self.case_labels.meaning(word)) for word, score in top]
        scores: dict[str, float] = {}
        for _word, score, meaning in meanings:
            scores.setdefault(meaning.label, score)
        for word, score, meaning in meanings:
            if not meaning.label:
                gone = "no longer one label" if meaning.became else "no longer a label"
                yield LabelChoice(None, word, score, 0, gone=gone)
            yield from self._new([meaning.label] if meaning.label else meaning.became, scores)

    def of_expectations(self, expected: Iterable[tuple[str, int]]) -> Iterator[GoneExpectation]:
        for word, people in expected:
            meaning = self.case_labels.meaning(word)
            if not meaning.label:
                yield GoneExpectation(word, people, meaning.reason, list(self._new(meaning.became, {})))

    def _new(self, found: Iterable[str], scores: Mapping[str, float]) -> Iterator[LabelChoice]:
        for label in found:
            if label not in self.offered:
                self.offered.add(label)
                number = len(self.offered) if len(self.offered) < 10 else None
                is_answer = self.case_labels.is_answer(label)
                yield LabelChoice(number, label, scores.get(label), self.expected[label], is_answer)


def _summary(case: Case) -> FeedbackSummary:
    said = summary(case.feedback)
    current = case.feedback.current()
    comments = list(current.exclude(comment="", expected_words="").order_by("-created_at", "-id")[: MAX_COMMENTS + 1])
    return FeedbackSummary(
        verdicts=[
            (str(title), said.verdicts[verdict].people)
            for verdict, title in Feedback.Verdict.choices
            if verdict in said.verdicts
        ],
        expected=[(label.what, label.people) for label in said.labels],
        comments=comments[:MAX_COMMENTS],
        has_more_comments=len(comments) > MAX_COMMENTS,
    )


def _similar_cases(case: Case) -> list[Case]:
    """Returns cases with the same predicted or expected label; decided ones first, because they serve as precedents.

    Each query reads only the end of one index.
    """
    others = Case.objects.exclude(pk=case.pk).order_by("-id").select_related(None)
    decided = others.filter(state=Case.State.DECIDED)
    found = _by_id(decided.filter(predicted_label=case.predicted_label)[:MAX_SIMILAR_CASES])
    if case.expected_label:
        same_expectation = _by_id(decided.filter(expected_label=case.expected_label)[:MAX_SIMILAR_CASES])
        # Cases that have both labels in common are the best precedents.
        both = {pk: other for pk, other in found.items() if pk in same_expectation}
        found = both | _alternating(found, same_expectation)
    if len(found) < MAX_SIMILAR_CASES:
        undecided = others.filter(state=Case.State.OPEN, predicted_label=case.predicted_label)
        found |= _by_id(undecided[:MAX_SIMILAR_CASES])
    return list(found.values())[:MAX_SIMILAR_CASES]


def _by_id(cases: Iterable[Case]) -> dict[int, Case]:
    return {case.pk: case for case in cases}


def _alternating(first: dict[int, Case], second: dict[int, Case]) -> dict[int, Case]:
    """Returns the cases of both, alternating, so that neither crowds out the other."""
    ranked = [(rank, which, pk) for which, cases in enumerate((first, second)) for rank, pk in enumerate(cases)]
    everything = first | second
    return {pk: everything[pk] for _rank, _which, pk in sorted(ranked)}


def cases_found(cases: QuerySet[Case], text: str) -> QuerySet[Case]:
    """Narrows `cases` to those with `text` in a label or a comment, or at the beginning of the image's SHA-256.

    The labels are the model's, the decided one, and all that people expect, also in their own words.
    """
    text = " ".join(text.split())
    if not text:
        return cases
    said = Q(comment__icontains=text) | Q(expected_words__icontains=text) | label_contains("expected_label", text)
    statements = Feedback.objects.filter(said, image__isnull=False)
    found = (
        label_contains("predicted_label", text)
        | label_contains("expected_label", text)
        | label_contains("label", text)
        | Q(proposed_label__icontains=text)
        | Q(image__in=statements.values("image"))
    )
    if all(letter in "0123456789abcdef" for letter in text):
        found |= Q(image__sha256__startswith=text)
    return cases.filter(found)


def remaining_counts(reviewer: User) -> dict[str, int]:
    """Returns the numbers of `open` and `flagged` cases, and of those that `others` have claimed."""
    undecided = Case.objects.filter(state__in=[Case.State.OPEN, Case.State.FLAGGED]).order_by().values_list("state")
    by_state = dict(undecided.annotate(number=Count("pk")))
    return {
        "others": Case.objects.claimed(timezone.now()).exclude(claimed_by=reviewer).count(),
        "flagged": by_state.get(Case.State.FLAGGED, 0),
        "open": by_state.get(Case.State.OPEN, 0),
    }
