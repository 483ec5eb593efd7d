"""The report: everything that the statistics page shows, and each table by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, partial
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from predictions.classifiers import installed_version
from predictions.visible_text import visible
from review.filters import Filters
from review.label_sets import active_version
from review.label_translation import version_translation
from review.models import Case
from review.statistics import estimates, queries
from review.statistics.estimates import ComplaintsEstimate, Confusion, Precision, ProposedLabel
from review.statistics.filter import StatisticsFilter
from review.statistics.intervals import Proportion
from review.statistics.plots import Bar, Plot, PlotRow, bars_plot, intervals_plot, statements_plot
from review.statistics.queries import CaseCount, Day, Queue
from review.statistics.tables import Cell, Column, StatisticsTable, Text
from review.statistics.translated import Columns, TranslatedCounts, Words, translated
from worker.inference.repository import ModelVersion

CLASSES = 30  # in the plot and in the table on the page; the file has all
PAIRS = 20
VERSIONS = 12
DAYS = 92
TWO_ESTIMATES = ("All decided", "Audit sample")


def words(label: str) -> str:
    return label.replace("_", " ")


@dataclass(frozen=True)
class StatisticsReport:
    """The statistics for one filter.

    `drawn_classes`: how many classes the page shows at most.

    Queries run when a part is first used, so that one table costs only its own queries.
    """

    filter: StatisticsFilter
    now: datetime = field(default_factory=timezone.now)
    drawn_classes: int = CLASSES

    @cached_property
    def is_narrowed(self) -> bool:
        """Whether the filter may hide data. In a new installation there is none to hide."""
        return (self.filter.window != "all" or bool(self.filter.model_version)) and queries.has_data()

    # --- Counts and estimates ---------------------------------------------------------------------

    @cached_property
    def days(self) -> list[Day]:
        return queries.statements_by_day(self.filter)

    @property
    def statement_total(self) -> int:
        return sum(day.total for day in self.days)

    @property
    def report_total(self) -> int:
        return sum(day.reports for day in self.days)

    @cached_property
    def _translated(self) -> TranslatedCounts:
        return translated(queries.case_counts(self.filter), version_translation(self.labels_of))

    @cached_property
    def labels_of(self) -> ModelVersion | None:
        """The version whose labels the page uses: the selected one or, if that is not installed, the active one."""
        chosen = installed_version(self.filter.model_version) if self.filter.model_version else None
        return chosen or active_version()

    @property
    def _all_counts(self) -> Sequence[CaseCount]:
        return self._translated.counts

    @cached_property
    def _counts(self) -> list[CaseCount]:
        return estimates.within(self._all_counts, self.filter.model_version)

    @cached_property
    def versions(self) -> list[str]:
        """The versions to choose from: those of the cases in the selected time, and the selected one."""
        return sorted({count.model_version for count in self._all_counts} | {self.filter.model_version} - {""})

    @cached_property
    def complaints(self) -> ComplaintsEstimate:
        return estimates.complaints(self._counts)

    @cached_property
    def _complaints_by_version(self) -> list[ComplaintsEstimate]:
        return estimates.complaints_by_version(self._counts)

    @cached_property
    def queue(self) -> Queue:
        return queries.queue_ages(self.filter.model_version, self.now)

    @property
    def sample_rate(self) -> float:
        return float(settings.REVIEW_SAMPLE_RATE)

    @cached_property
    def precision(self) -> Precision:
        return estimates.precision(self._counts)

    @property
    def corrected_total(self) -> int:
        return sum(one.share.successes for one in self.confusions)

    @cached_property
    def classes(self) -> list[Precision]:
        return estimates.precision_by_class(self._counts)

    @cached_property
    def confusions(self) -> list[Confusion]:
        return estimates.confusions(self._counts)

    @cached_property
    def proposed_labels(self) -> list[ProposedLabel]:
        return estimates.proposed_labels(self._counts)

    @cached_property
    def precision_by_version(self) -> list[Precision]:
        """Of all versions, even if one is selected: the page compares them."""
        return estimates.precision_by_version(self._all_counts)

    # --- Plots ------------------------------------------------------------------------------------

    def statements_plot(self) -> Plot:
        return statements_plot(self.days)

    def complaints_plot(self) -> Plot:
        rows = [PlotRow("All versions", (self.complaints.corrected,), is_overall=True)] if self._is_compared else []
        rows += [PlotRow(one.model_version, (one.corrected,)) for one in self._complaints_by_version[:VERSIONS]]
        return intervals_plot(
            "complaints", rows, title="Share of complaints that were confirmed", series=("Confirmed",)
        )

    @property
    def _is_compared(self) -> bool:
        return len(self._complaints_by_version) > 1

    def queue_plot(self) -> Plot:
        bars = [
            Bar(age.title, age.open, f", {age.claimed:,} claimed now" if age.claimed else "") for age in self.queue.ages
        ]
        return bars_plot("queue", bars, title="Open cases by age")

    def precision_plot(self) -> Plot:
        rows = [PlotRow("All classes", _both_shares(self.precision), is_overall=True)]
        rows += [PlotRow(words(one.name), _both_shares(one)) for one in self.classes[: self.drawn_classes]]
        return intervals_plot("precision", rows, title="Precision by predicted class", series=TWO_ESTIMATES)

    def confusions_plot(self) -> Plot:
        bars = [
            Bar(f"{words(one.predicted_label)} → {words(one.label)}", one.share.successes)
            for one in self.confusions[:PAIRS]
        ]
        return bars_plot("confusions", bars, title="Corrected cases by predicted and corrected label")

    def versions_plot(self) -> Plot:
        rows = [PlotRow(one.name, _both_shares(one)) for one in self.precision_by_version[:VERSIONS]]
        return intervals_plot("versions", rows, title="Precision by model version", series=TWO_ESTIMATES)

    # --- Tables -----------------------------------------------------------------------------------

    def statements_table(self) -> StatisticsTable:
        """The newest day first. Reports of legacy clients name no answer, so they have no model version."""
        has_reports = not self.filter.model_version
        columns = [
            Column("day", "Day (UTC)"),
            Column("wrong", "Wrong"),
            Column("right", "Right"),
            Column("not_sure", "Not sure"),
            Column("total", "Total"),
        ]
        columns += [Column("legacy_reports", "Reports of legacy clients")] if has_reports else []
        rows = [
            (day.day, day.wrong, day.right, day.unsure, day.total, *((day.reports,) if has_reports else ()))
            for day in reversed(self.days)
        ]
        return StatisticsTable("statements", "Statements per day", columns, rows, most=DAYS, is_folded=True)

    def complaints_table(self) -> StatisticsTable:
        columns = [
            Column("model_version", "Model version"),
            Column("complaints_decided", "Decided"),
            Column("confirmed", "Confirmed"),
            Column("share_confirmed", "Share", is_share=True),
            Column("unusable", "Unusable"),
            Column("undecided", "Undecided"),
        ]
        groups = [replace(self.complaints, model_version="all")] if self._is_compared else []
        rows = [
            (
                Text(one.model_version, shown="All versions" if number == 0 and self._is_compared else ""),
                one.corrected.total,
                one.corrected.successes,
                one.corrected,
                one.unusable,
                one.undecided,
            )
            for number, one in enumerate(groups + self._complaints_by_version)
        ]
        return StatisticsTable("complaints", "Complaints by model version", columns, rows)

    def queue_table(self) -> StatisticsTable:
        columns = [
            Column("age", "Age"),
            Column("open", "Open"),
            Column("claimed", "Of these, claimed"),
            Column("flagged", "Flagged"),
        ]
        rows = [(Text(age.title), age.open, age.claimed, age.flagged) for age in self.queue.ages]
        return StatisticsTable("queue", "Undecided cases by age", columns, rows)

    def precision_table(self) -> StatisticsTable:
        columns = [Column("predicted_label", "Predicted class"), *_PRECISION_COLUMNS]
        overall = (Text("all", shown="All classes"), *_precision_cells(self.precision))
        rows = [overall]
        for one in self.classes:
            rows.append(
                (Text(one.name, words(one.name), self._cases_url(predicted_label=one.name)), *_precision_cells(one))
            )
        return StatisticsTable(
            "precision", "Precision by predicted class", columns, rows, most=self.drawn_classes + 1, is_folded=True
        )

    def confusions_table(self) -> StatisticsTable:
        columns = [
            Column("predicted_label", "The model said"),
            Column("label", "Reviewers chose"),
            Column("cases", "Cases"),
            Column("decided_of_predicted_label", "Decided in that class"),
            Column("share", "Share", is_share=True),
        ]
        rows: list[Sequence[Cell]] = []
        for one in self.confusions:
            url = self._cases_url(predicted_label=one.predicted_label, label=one.label)
            labels = Text(one.predicted_label, words(one.predicted_label), url), Text(one.label, words(one.label), url)
            rows.append((*labels, one.share.successes, one.share.total, one.share))
        return StatisticsTable("confusions", "Most confused pairs", columns, rows, most=PAIRS)

    def proposed_labels_table(self) -> StatisticsTable:
        columns = [
            Column("proposed_label", "Reviewers proposed"),
            Column("predicted_label", "The model said"),
            Column("cases", "Cases"),
        ]
        rows = [
            (
                Text(visible(one.proposed_label), url=partial(self._search_url, one.proposed_label)),
                Text(
                    one.predicted_label,
                    words(one.predicted_label),
                    self._cases_url(state=Case.Outcome.NO_LABEL, predicted_label=one.predicted_label),
                ),
                one.number,
            )
            for one in self.proposed_labels
        ]
        return StatisticsTable("proposed-labels", "Proposed labels", columns, rows)

    def _search_url(self, proposed_label: str) -> str:
        query = urlencode({"state": Case.Outcome.NO_LABEL, "q": proposed_label})
        return f"{reverse('admin:review_case_changelist')}?{query}"

    @cached_property
    def are_all_pairs_linked(self) -> bool:
        known = self._row_words("predicted_label", "label")
        return all((one.predicted_label, one.label) in known for one in self.confusions[:PAIRS])

    def _cases_url(self, state: str = "decided", **labels: str) -> Callable[[], str] | None:
        """Link to the decided cases of the selected version. The case list has no filter for the time.

        Returns `None` if the case list cannot show just these cases: it shows one word of a column at a time.
        """
        words = self._row_words(*labels).get(tuple(labels.values()))
        if words is None:
            return None
        return partial(self._filtered_url, {"state": state, **dict(zip(labels, words, strict=True))})

    def _row_words(self, *columns: str) -> dict[Words, Words]:
        if columns not in self._known_words:
            self._known_words[columns] = self._translated.row_words(columns, self.filter.model_version)
        return self._known_words[columns]

    @cached_property
    def _known_words(self) -> dict[Columns, dict[Words, Words]]:
        return {}

    def _filtered_url(self, query: Mapping[str, str]) -> str:
        filters = Filters.from_query({"model_version": self.filter.model_version, **query})
        return f"{reverse('admin:review_case_changelist')}?{filters.query_string}"

    def versions_table(self) -> StatisticsTable:
        columns = [Column("model_version", "Model version"), *_PRECISION_COLUMNS]
        rows = [
            (Text(one.name, url=partial(self._version_url, one.name)), *_precision_cells(one))
            for one in self.precision_by_version
        ]
        return StatisticsTable("versions", "Precision by model version", columns, rows)

    def _version_url(self, model_version: str) -> str:
        return f"?{self.filter.query_string_for(model_version)}"


TABLES = {
    "statements": StatisticsReport.statements_table,
    "complaints": StatisticsReport.complaints_table,
    "queue": StatisticsReport.queue_table,
    "precision": StatisticsReport.precision_table,
    "confusions": StatisticsReport.confusions_table,
    "proposed-labels": StatisticsReport.proposed_labels_table,
    "versions": StatisticsReport.versions_table,
}

_PRECISION_COLUMNS = (
    Column("decided", "Decided"),
    Column("right", "Right"),
    Column("precision", "Precision", is_share=True),
    Column("audited", "Audited"),
    Column("audited_right", "Audited right"),
    Column("audited_precision", "Audited precision", is_share=True),
    Column("audited_undecided", "Audited, undecided"),
)


def _precision_cells(one: Precision) -> tuple[Cell, ...]:
    return (
        one.decided.total,
        one.decided.successes,
        one.decided,
        one.audited.total,
        one.audited.successes,
        one.audited,
        one.audited_undecided,
    )


def _both_shares(one: Precision) -> tuple[Proportion, Proportion]:
    return one.decided, one.audited
