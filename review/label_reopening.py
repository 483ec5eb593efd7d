"""Returns decided cases to the desk whose label was split or dropped, or whose proposed label is a label now.

Decisions stay in the history in the words they were made in. Reviewers decide a case that has returned with the labels
of the active version, so that the same change does not return it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Count, Max

from predictions import labels
from predictions.exceptions import RequestRejected
from review.history import adding_to_history, lock_case
from review.label_sets import active_version, remember
from review.label_translation import LabelTranslation, version_translation
from review.label_wording import changed, quoted
from review.models import Case, CaseQuerySet, LabelMapping, LabelSet
from review.undoing import reopen_locked
from worker.inference.repository import ModelVersion, RepositoryError

logger = logging.getLogger(__name__)

BATCH = 100  # cases reopened in one transaction, which keeps other writers waiting
ACCOUNT = "label changes"  # no person can have this name: a space is not allowed in one

Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class ReturningCases:
    """Decided cases that return for the same reason. `words`: their columns that name a label and whose it is."""

    words: tuple[str, int | None, str, str]
    number: int
    reason: str

    def cases(self) -> CaseQuerySet:
        model_version, label_set, label, proposed_label = self.words
        return _decided().filter(
            model_version=model_version, label_set=label_set, label=label, proposed_label=proposed_label
        )

    def includes(self, case: Case) -> bool:
        words = case.model_version, case.label_set_id, case.label, case.proposed_label
        return case.state == Case.State.DECIDED and words == self.words


def returning_cases(version: ModelVersion) -> list[ReturningCases]:
    """Returns the decided cases that reviewers have to look at again if a version answers. Changes nothing."""
    translation = version_translation(version)
    if translation is None:
        return []
    columns = ("model_version", "label_set", "label", "proposed_label")
    rows = _decided().order_by().values_list(*columns).annotate(number=Count("pk"))
    found = []
    for *words, number in rows:
        if reason := _reason(translation, version, *words):
            found.append(ReturningCases((words[0], words[1], words[2], words[3]), number, reason))
    return sorted(found, key=lambda group: (-group.number, group.reason))


def cases_return(
    version: ModelVersion, report: Progress = lambda done, total: None, *, limit: int | None = None
) -> int:
    """Reopens the cases that return if a version answers, or the first `limit` of them. Returns their number.

    Writes a transaction for each `BATCH` cases with the same words, and reports about once in `BATCH` reopened cases.
    The total includes cases that others change meanwhile, which are not reopened here. After an interruption, another
    call reopens the rest: the cases that are reopened are decided no longer. Raises
    `worker.inference.repository.Damaged` if the labels cannot be read.
    """
    groups = returning_cases(version)
    if not groups:
        return 0
    label_set, reviewer = remember(version), _account()
    total, seen, reopened = sum(group.number for group in groups), 0, 0
    for group in groups:
        last = 0
        while ids := list(group.cases().filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
            number = _reopen(ids, group, label_set, reviewer)
            last, seen, reopened = ids[-1], seen + len(ids), reopened + number
            if reopened // BATCH > (reopened - number) // BATCH:
                report(min(reopened, total), total)
            if limit is not None and seen >= limit:
                return reopened
    return reopened


class LabelWatcher:
    """Returns cases after another version was activated, or a mapping was stored. For the maintenance of a worker."""

    LIMIT = 1000  # cases in one call, which keeps the worker from other work for some seconds
    AGAIN_SECONDS = 3600  # reviewers may decide more cases with the labels of an earlier version

    def __init__(self) -> None:
        self._done: object = None  # the version and the mapping that need nothing any more
        self._done_at = 0.0  # `time.monotonic`

    def check(self) -> None:
        """Reopens at most `LIMIT` cases; the next call goes on. Costs one small query if nothing has changed."""
        version = active_version()
        if version is None:
            return
        now = str(version), LabelMapping.objects.aggregate(newest=Max("stored_at"))["newest"]
        if now == self._done and time.monotonic() - self._done_at < self.AGAIN_SECONDS:
            return
        try:
            number = cases_return(version, limit=self.LIMIT)
        except RepositoryError:
            logger.exception("Cannot tell which cases return to the desk: the labels of %s cannot be read.", version)
            return
        if number:
            logger.info("%d decided cases came back to the desk because labels changed.", number)
        if number < self.LIMIT:
            self._done, self._done_at = now, time.monotonic()


def _reopen(ids: Sequence[int], group: ReturningCases, label_set: LabelSet, reviewer: User) -> int:
    """Reopens these cases in one transaction, except those that have changed meanwhile."""
    number = 0
    with adding_to_history():
        for pk in ids:  # in the order of bulk decisions, which lock the same cases
            try:
                case, history = lock_case(pk)
            except RequestRejected:
                continue  # erased meanwhile
            if group.includes(case):
                case.label_set = label_set
                reopen_locked(case, history, reviewer, None, group.reason)
                number += 1
    return number


def _account() -> User:
    """Returns the account in whose name cases are reopened. Nobody can log in with it."""
    account, is_new = User.objects.get_or_create(username=ACCOUNT, defaults={"is_active": False})
    if is_new:
        account.set_unusable_password()
        account.save(update_fields=["password"])
    return account


def _decided() -> CaseQuerySet:
    """Decided cases with a label or a proposal. Nobody can judge an erased picture again."""
    decided = Case.objects.filter(state=Case.State.DECIDED).exclude(verdict=Case.Outcome.UNUSABLE)
    return decided.exclude(image__file="")


def _reason(
    translation: LabelTranslation,
    version: ModelVersion,
    model_version: str,
    label_set: int | None,
    label: str,
    proposed_label: str,
) -> str:
    """Returns why a case with these words returns, or an empty string if it does not."""
    if label:
        return changed(label, translation.words(label, model_version, label_set))
    mapped = translation.proposed(proposed_label, model_version, label_set)
    if mapped is not None:
        return changed(proposed_label, mapped)
    source = translation.source(model_version, label_set)
    if source is not None and source.fingerprint == translation.target.fingerprint:
        return ""  # the reviewer who proposed it could have chosen the label
    found = labels.index(str(version)).resolve(proposed_label)
    return f"There is a label {quoted(found)} now." if found else ""
