"""Runs `manage.py exporter` in a separate process, for tests that stop it in the middle of its work.

    python -m learning.datasets.tests.exporter UPLOADS EXPORTS PAUSE BYTES

It uses these two folders. If PAUSE is a path, it creates that file when it reads the third picture, and waits until the
file is removed. Archives cannot become larger than BYTES, as on a full disk.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django
from django.conf import settings
from django.core.management import call_command

django.setup()

from learning.datasets import writing  # noqa: E402 - needs Django
from learning.datasets.pictures import stored_picture  # noqa: E402


def pause_at_the_third(file: Path) -> None:
    seen = []

    def paused(name: str, sha256: str) -> Any:
        seen.append(name)
        if len(seen) == 3:
            file.touch()
            while file.exists():
                time.sleep(0.02)
        return stored_picture(name, sha256)

    patch.object(writing, "stored_picture", paused).start()


def limit_archives(size: int) -> None:
    write = writing._ExportWriter.write

    def limited(export: Any, report: Any) -> Any:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            return write(export, report)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)  # the database file may grow

    patch.object(writing._ExportWriter, "write", limited).start()


if __name__ == "__main__":
    uploads, exports, pause, limit = sys.argv[1:]
    settings.MEDIA_ROOT, settings.EXPORTS_DIR = uploads, exports
    if pause:
        pause_at_the_third(Path(pause))
    if limit:
        limit_archives(int(limit))
    call_command("exporter")
