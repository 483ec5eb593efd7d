"""The form in which a lead selects the cases of a data set."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from learning.datasets.case_selection import CaseSelection, label_counts
from learning.models import Export
from predictions import classifiers
from predictions.exceptions import RequestRejected
from review.label_sets import active_version, installed_labels
from review.models import Case

# The field that shows each rejection, by its code.
_FIELDS = {"since-after-until": "until", "unusable-has-no-label": "labels", "unknown-version": "labels_of"}


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=False, widget=widget, input_formats=["%Y-%m-%d"])


def _choices(label: str) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(label=label, required=False, widget=forms.CheckboxSelectMultiple)


def _versions(active: str) -> list[str]:
    """Returns the versions whose labels can be chosen: the active one, and the newest of each other label set."""
    newest_first = [str(version) for version in reversed(classifiers.repository().versions())]
    by_labels: dict[str, str] = {}
    for name in [active, *newest_first] if active else []:
        labels = installed_labels(name)
        if labels is not None:
            by_labels.setdefault(labels.fingerprint, name)
    return list(by_labels.values())


def _label_counts(version: str) -> list[tuple[str, int]]:
    try:
        return label_counts(version)
    except RequestRejected:
        return []  # `clean` says that the version is not installed


class ExportForm(forms.Form):
    format = forms.ChoiceField(
        label="Format",
        choices=Export.DatasetFormat.choices,
        initial=Export.DatasetFormat.IMAGEFOLDER,
        widget=forms.RadioSelect,
    )
    since = _day("Decided since")
    until = _day("Decided until")
    verdicts = _choices("Verdicts")
    labels_of = forms.CharField(label="Model version", required=False, widget=forms.Select)
    labels = _choices("Labels")

    selection: CaseSelection  # set if the form is valid

    def __init__(self, data: QueryDict | None = None) -> None:
        """Without data, the form selects all decided cases, in the labels of the active version."""
        data = data.copy() if data else QueryDict(mutable=True)
        data.setdefault("format", Export.DatasetFormat.IMAGEFOLDER)
        active = str(active_version() or "")
        version = data.get("labels_of", "").strip() or active
        data["labels_of"] = version
        super().__init__(data)
        versions = _versions(active)
        if version not in versions and classifiers.installed_version(version):
            versions.append(version)
        names = [(name, f"{name} (active)" if name == active else name) for name in versions]
        self.fields["labels_of"].widget.choices = names
        self.has_versions = len(versions) > 1
        self.fields["verdicts"].choices = Case.Outcome.choices  # type: ignore[attr-defined]
        labels = [(label, f"{label.replace('_', ' ')} ({number:,})") for label, number in _label_counts(version)]
        self.fields["labels"].choices = sorted(labels, key=lambda label: label[1].casefold())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = self.cleaned_data
        if self.errors:
            return values
        try:
            self.selection = CaseSelection.parse(
                since=values["since"],
                until=values["until"],
                labels=values["labels"],
                verdicts=values["verdicts"],
                labels_of=values["labels_of"],
            )
        except RequestRejected as rejection:
            self.add_error(_FIELDS.get(rejection.code), rejection.message)
        return values

    @property
    def label_choices(self) -> list[tuple[str, str, bool]]:
        """Each label, its display name and whether it is chosen. Django's widget needs 200 ms for 1,000 checkboxes."""
        chosen = set(self.data.getlist("labels"))  # type: ignore[attr-defined]
        return [(label, name, label in chosen) for label, name in self.fields["labels"].choices]  # type: ignore[attr-defined]

    @property
    def fields_in_use(self) -> list[tuple[str, str]]:
        """Names and values of the filled-in fields, to be submitted again unchanged.

        The values are those that the form reads: if a day was sent twice, the last one counts, even an empty one.
        """
        read = {name: field.widget.value_from_datadict(self.data, {}, name) for name, field in self.fields.items()}
        values = {name: value if isinstance(value, list) else [value] for name, value in read.items()}
        return [(name, value) for name in values for value in values[name] if value]
