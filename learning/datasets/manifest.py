"""The manifest of a data set: one line for each case, as CSV and as JSON lines."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, fields
from typing import IO

from learning.datasets.case_selection import SelectedCase
from worker.inference.csv_files import BYTE_ORDER_MARK, neutral


@dataclass(frozen=True)
class ManifestLine:
    """One line of the manifest: a case of the data set.

    sha256: of the picture as it was sent
    file: the path of the picture in the archive, or empty
    decisions: the number of rows in the case's history
    statements: the number of people who gave feedback
    changed: `converted` if the picture was re-encoded, `stripped` if only its metadata were removed
    missing: the reason why an expected picture is missing
    proposed_label: what the picture shows, if the verdict is `no-label`
    decided_label: the label, or the proposed one, in the words of the decision
    label_id: of the label; empty if its model version is not installed, or if several labels share the word
    """

    sha256: str
    file: str
    label: str
    verdict: str
    decisions: int
    decided_at: str
    model_version: str
    predicted_label: str
    score: float
    statements: int
    in_audit: bool
    changed: str
    missing: str
    proposed_label: str
    decided_label: str
    label_id: str

    @classmethod
    def of(cls, case: SelectedCase, *, file: str = "", changed: str = "", missing: str = "") -> ManifestLine:
        return cls(
            sha256=case.sha256,
            file=file,
            label=case.label,
            verdict=case.verdict,
            decisions=case.decisions,
            decided_at=case.decided_at.isoformat(timespec="milliseconds"),
            model_version=case.model_version,
            predicted_label=case.predicted_label,
            score=case.score,
            statements=case.statements,
            in_audit=case.in_audit,
            changed=changed,
            missing=missing,
            proposed_label=case.proposed_label,
            decided_label=case.decided_label,
            label_id=case.label_id,
        )


COLUMNS = tuple(field.name for field in fields(ManifestLine))


class DatasetManifest:
    """Writes the manifest in both formats, each to its own text file."""

    def __init__(self, csv_file: IO[str], jsonl_file: IO[str]) -> None:
        csv_file.write(BYTE_ORDER_MARK)
        self._csv = csv.writer(csv_file)
        self._jsonl = jsonl_file
        self._csv.writerow(COLUMNS)

    def add(self, line: ManifestLine) -> None:
        values = {name: getattr(line, name) for name in COLUMNS}
        self._csv.writerow([_cell(value) for value in values.values()])
        self._jsonl.write(json.dumps(values, ensure_ascii=False) + "\n")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return neutral(value) if isinstance(value, str) else value
