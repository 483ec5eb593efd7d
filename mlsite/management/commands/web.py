"""`manage.py web`: the web server alone, for whoever looks after the processes himself, as a container engine does."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlsite import web_server
from mlsite.management.arguments import port


class Command(BaseCommand):
    help = "Runs the web server, and nothing else. Becomes it: signals reach it directly."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="default: HOST or 127.0.0.1")
        parser.add_argument("--port", type=port, default=os.environ.get("PORT") or "8000", help="default: PORT or 8000")

    def handle(self, *args: Any, **options: Any) -> None:
        os.execv(sys.executable, web_server.command(options["host"], options["port"]))  # noqa: S606 - no shell wanted
