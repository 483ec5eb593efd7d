"""`manage.py web`: runs only the web server, for sites that Docker or another program supervises."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from mlsite import web_server
from mlsite.management.arguments import port


class Command(BaseCommand):
    help = "Runs only the web server. Replaces this process, so that signals reach the server."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=os.environ.get("HOST") or "127.0.0.1", help="default: HOST or 127.0.0.1")
        parser.add_argument("--port", type=port, default=os.environ.get("PORT") or "8000", help="default: PORT or 8000")

    def handle(self, *args: Any, **options: Any) -> None:
        os.execv(sys.executable, web_server.command(options["host"], options["port"]))  # noqa: S606 - no shell wanted
