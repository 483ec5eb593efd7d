"""`manage.py labels` compares the label sets of model versions, and stores what becomes of labels that change."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from predictions import classifiers
from predictions.visible_text import visible
from review.label_changes import GoneLabel, KnownProposal, label_changes, statement_counts
from review.label_mapping import MappingRow, contradictions, mapping_remove, mapping_store, mapping_summary
from review.label_mapping_file import InvalidMapping, draft_rows, draft_text, read_mapping
from review.label_reopening import cases_return, returning_cases
from review.models import LabelMapping
from review.proposals import unknown_proposals
from worker.inference.repository import ModelVersion, RepositoryError

MOST = 20  # labels of each kind that `diff` shows without --all


class Command(BaseCommand):
    help = "Compare the labels of model versions, and say what becomes of those that change."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        diff = actions.add_parser("diff", help="show what changes from the labels of A to those of B")
        _add_versions(diff)
        diff.add_argument("--csv", type=Path, metavar="FILE", help="write a draft of the mapping, to edit")
        diff.add_argument("--all", action="store_true", help=f"show all labels, not only {MOST} of each kind")
        mapping = actions.add_parser("map", help="check and store a mapping from the labels of A to those of B")
        _add_versions(mapping)
        mapping.add_argument("file", type=Path, metavar="FILE", help="a CSV file with the columns change, old, new")
        mapping.add_argument("--dry-run", action="store_true", help="only say what would happen")
        mapping.add_argument("--drop-others", action="store_true", help="drop the labels that no line names")
        actions.add_parser("list", help="list the stored mappings")
        _add_versions(actions.add_parser("remove", help="remove the mapping from the labels of A to those of B"))
        reopen = actions.add_parser("reopen", help="return cases to the desk whose label was split or dropped")
        reopen.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        try:
            match action:
                case "diff":
                    self.diff(_version(options["a"]), _version(options["b"]), options["csv"], options["all"])
                case "map":
                    self.map(_version(options["a"]), _version(options["b"]), options)
                case "list":
                    self.list()
                case "remove":
                    self.remove(_version(options["a"]), _version(options["b"]))
                case "reopen":
                    self.reopen(options["dry_run"])
        except InvalidMapping as error:
            raise CommandError(f"{error}\nNothing was stored.") from error
        except RepositoryError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            done = "write" if action == "diff" else "read"
            raise CommandError(f"cannot {done} {error.filename}: {error.strerror}") from error

    # --- diff ---------------------------------------------------------------------------------------

    def diff(self, old: ModelVersion, new: ModelVersion, file: Path | None, show_all: bool) -> None:
        if file is not None and file.exists():
            raise CommandError(f"{file} exists already. Choose another name: it may be a mapping that you have edited.")
        changes = label_changes(old, new)
        statements = statement_counts(changes)
        most = None if show_all else MOST
        renamed = [f"{one.display_name} -> {other.display_name}" for one, other in changes.renamed]
        self.section("Renamed, with the same id", renamed, most)
        for title, gone in (("Renamed or merged by the mapping", changes.mapped), ("Gone", changes.lost)):
            self.section(title, [_gone(one, statements[one.label.display_name]) for one in gone], most)
        self.section("New", [label.display_name for label in changes.new], most)
        proposals = [_proposal(one) for one in changes.proposals]
        self.section(f"Proposed by reviewers, and a label of {new}", proposals, most)
        returning = [f"{reason} Cases: {number:,}." for reason, number in changes.returning]
        self.section("Reasons for which decided cases come back to the desk", returning, most)
        self.stdout.write(changes.summary)
        if file is not None:
            rows = draft_rows(old, new)
            with file.open("x", encoding="utf-8", newline="") as opened:
                opened.write(draft_text(rows))
            unclear = sum(not change for change, _old, _new in rows)
            self.stdout.write(f"{file}: {len(rows)} lines; {unclear} of them need a change.")

    def section(self, title: str, lines: Sequence[str], most: int | None) -> None:
        if not lines:
            return
        self.stdout.write(f"{title}: {len(lines):,}")
        for line in lines[:most]:
            self.stdout.write(f"  {line}")
        if most is not None and len(lines) > most:
            self.stdout.write(f"  and {len(lines) - most:,} more (--all shows them)")

    # --- map ----------------------------------------------------------------------------------------

    def map(self, old: ModelVersion, new: ModelVersion, options: dict[str, Any]) -> None:
        rows = read_mapping(options["file"].read_bytes(), old, new, drop_others=options["drop_others"])
        for text in unknown_proposals(row.old for row in rows if row.change == LabelMapping.Change.PROPOSED):
            self.stderr.write(f"Warning: no decided case has the proposed label “{text}”.")
        with transaction.atomic():
            mapping_store(old, new, rows)
            returning = sum(group.number for group in returning_cases(new))
            transaction.set_rollback(options["dry_run"])
        self.stdout.write(f"{old} to {new}: {mapping_summary(rows)}; {_returning(returning)} once {new} answers.")
        self.stdout.write("Nothing was stored." if options["dry_run"] else "The mapping is stored.")
        for label in contradictions(old, new, rows):
            self.stderr.write(f"Warning: by the stored mapping from {new} to {old}, “{label}” does not become itself.")

    def list(self) -> None:
        mappings = LabelMapping.objects.select_related("old", "new").order_by("stored_at", "pk")
        for mapping in mappings:
            old, new = ", ".join(mapping.old.versions), ", ".join(mapping.new.versions)
            rows = [MappingRow(change, label, tuple(labels)) for change, label, labels in mapping.rows]
            self.stdout.write(f"{old} to {new}: {mapping_summary(rows)}; stored {mapping.stored_at:%Y-%m-%d}")
        if not mappings:
            self.stdout.write("There is no mapping.")

    def remove(self, old: ModelVersion, new: ModelVersion) -> None:
        if not mapping_remove(old, new):
            raise CommandError(f"There is no mapping from the labels of {old} to those of {new}.")
        self.stdout.write(f"The mapping from the labels of {old} to those of {new} is removed.")

    # --- reopen -------------------------------------------------------------------------------------

    def reopen(self, dry_run: bool) -> None:
        version = classifiers.active_version()
        if dry_run:
            groups = returning_cases(version)
            for group in groups:
                self.stdout.write(f"{group.reason} Cases: {group.number:,}.")
            self.stdout.write(f"{_returning(sum(group.number for group in groups))}. Nothing was changed.")
            return
        number = cases_return(version, self.progress)
        self.stdout.write(f"{_returning(number)}.")

    def progress(self, done: int, total: int) -> None:
        self.stderr.write(f"{done:,} of {total:,} cases are reopened.")


def _add_versions(parser: ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="name@version, or a name for its newest version")
    parser.add_argument("b", metavar="B", help="the same for the version with the new labels")


def _version(reference: str) -> ModelVersion:
    return classifiers.repository().find(reference)


def _gone(one: GoneLabel, statements: int) -> str:
    used = f"decided cases: {one.decided_cases:,}, open cases: {one.open_cases:,}, statements: {statements:,}"
    return f"{one.label.display_name}: {one.what} ({used})"


def _proposal(one: KnownProposal) -> str:
    return f"{visible(one.text)} -> {one.label} (cases: {one.cases:,}{', mapped' if one.is_mapped else ''})"


def _returning(number: int) -> str:
    return "1 decided case comes back to the desk" if number == 1 else f"{number:,} decided cases come back to the desk"
