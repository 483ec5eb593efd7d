"""The RSGI application, in a process of its own: importing it changes the garbage collector."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import asyncio
from mlsite.web import application, bodies
from mlsite.web.tests.sending_client import SendingClient
from mlsite.web.tests.test_environ import _scope
from predictions.admission.middleware import DECISION

bodies.DISK_BYTES = 1000
application.limit_unread = lambda seconds: None  # nothing listens
statuses = {}

def answer(environ, start_response):
    rejection = environ.get(DECISION)
    statuses[environ["PATH_INFO"]] = rejection.status if rejection else 200
    start_response("200 OK", [])
    return [b""]

async def send(site, path, client, pause=0):
    scope = _scope(("transfer-encoding", "chunked"), path=path, client=client)
    await site(scope, SendingClient([bytes(400), b"end"], pause=pause))

async def main():
    site = application.WebApplication(answer)
    stalled = asyncio.create_task(send(site, "/stalled", "192.0.2.1:1", pause=600))
    await asyncio.sleep(0.5)
    await send(site, "/same", "192.0.2.1:2")
    await send(site, "/other", "198.51.100.9:1")
    stalled.cancel()

asyncio.run(main())
assert statuses == {"/same": 429, "/other": 200}, statuses
"""


def test_stalled_uploads_of_one_client_leave_space_to_others(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    environment = os.environ | {"DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "mlsite.settings"}
    environment["STATIC_DIR"] = str(tmp_path / "static")
    script = "import django; django.setup()\n" + SCRIPT
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
