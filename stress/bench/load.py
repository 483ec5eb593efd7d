"""Load on a running site, made by wrk, which takes much less CPU than a client in Python."""

from __future__ import annotations

import json
import resource
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devtools.processes import running

ANSWER_SECONDS = 60

# One thread of wrk loads all photos and sends them one after another.
SCRIPT = """
local requests, sent, outcomes = {}, 0, nil

function init(arguments)
  for number, path in ipairs(PHOTOS) do
    local file = assert(io.open(path, "rb"))
    local photo = file:read("*a")
    file:close()
    local head = "--" .. BOUNDARY .. '\\r\\nContent-Disposition: form-data; name="file"; filename="' .. number ..
      '.jpg"\\r\\nContent-Type: image/jpeg\\r\\n\\r\\n'
    local tail = "\\r\\n--" .. BOUNDARY .. "--\\r\\n"
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "multipart/form-data; boundary=" .. BOUNDARY
    requests[number] = wrk.format(nil, nil, nil, head .. photo .. tail)
  end
  outcomes = assert(io.open(OUTCOMES, "w"))
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function response(status, headers, body)
  outcomes:write(status, " ", body:match('"id":"([^"]+)"') or "-", "\\n")
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('\\nFIGURES {"seconds": %f, "p50": %f, "p99": %f, "socket_errors": %d}\\n',
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class LoadResult:
    """`answered` holds the ids of predictions with status 200; `failures` counts all other requests.

    `p50` and `p99` are milliseconds until an answer of any status. `seconds` is the duration of the load, and
    `cpu_seconds` the CPU time of the load generator.
    """

    answered: list[str]
    failures: int
    statuses: dict[str, int]
    seconds: float
    p50: float
    p99: float
    cpu_seconds: float


def send(url: str, photos: Sequence[Path], folder: Path, *, clients: int, seconds: int) -> LoadResult:
    """Sends photos to `/api/predict` for this number of seconds, from `clients` connections."""
    script, outcomes = folder / "load.lua", folder / "outcomes.txt"
    facts = {"OUTCOMES": str(outcomes), "BOUNDARY": "photo-0f3c9a57"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in facts.items()]
    lines += ["PHOTOS = {" + ", ".join(json.dumps(str(photo)) for photo in photos) + "}"]
    script.write_text("\n".join(lines) + SCRIPT)
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s"]
    before = _children_cpu_seconds()
    with running(
        [*command, f"--script={script}", f"{url}/api/predict"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        output, _ = process.communicate()
    cpu = _children_cpu_seconds() - before
    if process.returncode or "FIGURES " not in output:
        raise RuntimeError(f"wrk failed:\n{output[-3000:]}")
    figures = json.loads(output.rpartition("FIGURES ")[2])
    ends = [line.split(" ") for line in outcomes.read_text().splitlines()]
    statuses = Counter(status for status, _ in ends)
    return LoadResult(
        answered=[prediction_id for status, prediction_id in ends if status == "200"],
        failures=figures["socket_errors"] + sum(number for status, number in statuses.items() if status != "200"),
        statuses=dict(statuses),
        seconds=figures["seconds"],
        p50=figures["p50"],
        p99=figures["p99"],
        cpu_seconds=cpu,
    )


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
