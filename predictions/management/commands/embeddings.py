"""`manage.py embeddings`: counts the features of images, fills gaps, and deletes those of old backbones."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError

from predictions import classifiers, embeddings
from predictions.models import Image
from worker.inference.classifier import Classifier
from worker.inference.engines import EngineError
from worker.inference.graph.head import describe_features, version_backbone
from worker.inference.repository import Damaged, RepositoryError
from worker.inference.repository.names import shortened

NICENESS = 19  # the lowest priority: workers and the web server come first
INTERRUPTED = 130  # the exit code of a program that Ctrl-C has ended


class Command(BaseCommand):
    help = "Prints how many images have features, for each backbone. Images get them together with their answer."

    def add_arguments(self, parser: CommandParser) -> None:
        action = parser.add_mutually_exclusive_group()
        action.add_argument(
            "--rebuild",
            action="store_true",
            help="compute the features of all images that have none under the active version, at low priority; "
            "may be interrupted and started again",
        )
        action.add_argument(
            "--delete", metavar="BACKBONE", help="delete the features of a backbone that no installed version has"
        )

    def handle(self, *args: Any, rebuild: bool, delete: str | None, **options: Any) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            if rebuild:
                self.rebuild()
            elif delete is not None:
                self.delete(delete)
            else:
                self.show()
        except (RepositoryError, EngineError) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}") from error
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Run it again to continue.", returncode=INTERRUPTED) from None

    def show(self) -> None:
        versions, counts = self._versions(), embeddings.embedding_counts()
        images = Image.objects.filter(erased_at=None).count()
        for backbone in sorted(versions.keys() | counts.keys()):
            names = ", ".join(versions.get(backbone, [])) or "no installed version"
            self.stdout.write(f"{backbone}  {counts.get(backbone, 0):,} of {images:,} images  {names}")
        if not versions and not counts:
            self.stdout.write("No installed version has features, and none are stored.")

    def rebuild(self) -> None:
        os.nice(NICENESS)
        version = classifiers.active_version()
        # This engine has features, whichever one answers. One thread is enough in the background.
        classifier = Classifier.load(version, threads=1, features=True, max_pixels=settings.UPLOAD_MAX_PIXELS)
        if not classifier.backbone:
            raise CommandError(f"{version} has no features ({describe_features(version)}).")
        total = embeddings.images_without_features(classifier.backbone).count()
        done = stored = failed = percent = 0
        for batch in embeddings.embeddings_rebuild(classifier):
            for sha256, failure in batch.failures.items():
                self.stderr.write(f"{sha256}: {failure}")
            done += batch.images
            stored += batch.stored
            failed += len(batch.failures)
            if percent < (percent := 100 * done // max(done, total)):
                self.stdout.write(f"{done:,} of {max(done, total):,} images")
                self.stdout.flush()
        self.stdout.write(f"{version}: features of {stored:,} images stored, {failed:,} without")

    def delete(self, backbone: str) -> None:
        versions = self._versions(strict=True)
        if backbone in versions:
            raise CommandError(f"{', '.join(versions[backbone])} has this backbone: its features are not deleted.")
        stored = embeddings.embedding_counts()
        if backbone not in stored:
            known = ", ".join(sorted(stored)) or "none"
            raise CommandError(f"There is no backbone {shortened(backbone)}. Backbones with stored features: {known}.")
        self.stdout.write(f"{backbone}: features of {embeddings.embeddings_delete(backbone):,} images deleted")

    def _versions(self, *, strict: bool = False) -> dict[str, list[str]]:
        """Returns the versions with features, by backbone. A damaged version is reported or, if `strict`, raised."""
        versions: dict[str, list[str]] = {}
        active = classifiers.active_name()
        for version in classifiers.repository().versions():
            try:
                backbone = version_backbone(version)
            except Damaged as error:
                if strict:
                    raise
                self.stderr.write(str(error))
                continue
            if backbone:
                versions.setdefault(backbone, []).append(
                    f"{version} (active)" if str(version) == active else f"{version}"
                )
        return versions
