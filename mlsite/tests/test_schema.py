"""The OpenAPI description is served to concurrent first requests."""

import subprocess
import sys

from devtools.running import ROOT

# In a new process, because drf-spectacular prepares itself during the first request.
FIRST_REQUESTS = """
import threading
import django
django.setup()
from django.test import Client

responses = []
start = threading.Barrier(8)

def request():
    start.wait()
    responses.append(Client(raise_request_exception=False).get("/api/schema", headers={"Host": "localhost"}))

threads = [threading.Thread(target=request) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print({response.status_code for response in responses}, len({response.content for response in responses}))
"""


def test_concurrent_first_requests_get_the_same_schema() -> None:
    command = [sys.executable, "-c", FIRST_REQUESTS]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "{200} 1\n", result.stderr
