"""`manage.py dumpdata`: Django's command, whose file appears complete or not at all."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.dumpdata import Command as DumpDataCommand


class Command(DumpDataCommand):
    def handle(self, *app_labels: Any, **options: Any) -> None:
        if not options["output"]:
            super().handle(*app_labels, **options)
            return
        output = Path(options["output"])
        try:
            with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
                super().handle(*app_labels, **options | {"output": str(Path(folder, output.name))})
                for file in Path(folder).iterdir():  # under another name, if Django does not know the compression
                    file.replace(output.with_name(file.name))
        except OSError as error:
            raise CommandError(f"Cannot write {output}: {error.strerror or error}") from error
