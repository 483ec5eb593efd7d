"""The whole system as `docker-compose up` starts it, in a separate Compose project, on free ports."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from devtools.running import NO_CLIENT_LIMITS, ROOT, Site, eventually, free_port

BUILD_SECONDS = 900
UP_SECONDS = 300
PUBLISHED = Path(__file__).with_name("published.yml")
NO_SETTINGS = Path(__file__).with_name("empty.env")


class ComposedSite(Site):
    """A running Compose project, as a context manager that always removes its containers, networks and volumes."""

    def __init__(self, **settings: str) -> None:
        self.project = f"mlsite-test-{os.getpid()}"
        port, queue_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.queue_url = f"redis://127.0.0.1:{queue_port}/0"
        # The containers get neither this process's settings nor a developer's `.env`: Compose reads an empty one.
        engine = {name: value for name, value in os.environ.items() if name.startswith(("DOCKER_", "COMPOSE_"))}
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            **engine,
            **settings,
            "PORT": str(port),
            "TEST_QUEUE_PORT": str(queue_port),
            **NO_CLIENT_LIMITS,
        }
        files = [ROOT / "docker-compose.yml", PUBLISHED]
        self._compose = [
            *_compose_command(),
            *("--project-name", self.project, "--project-directory", str(ROOT), "--env-file", str(NO_SETTINGS)),
            *(word for file in files for word in ("--file", str(file))),
        ]

    def __enter__(self) -> ComposedSite:
        try:
            self.compose("build", seconds=BUILD_SECONDS)
            self.scale(2)
            eventually(self.is_ready, "readiness", UP_SECONDS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        logs = self.compose("logs", "--no-color", "--tail=200", check=False)
        print(logs)  # noqa: T201 - pytest shows it if a test fails
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=30", check=False)

    def compose(self, *arguments: str, seconds: float = UP_SECONDS, check: bool = True) -> str:
        """Runs Compose and returns its output. Raises `AssertionError` with the output and errors if it fails."""
        return self._run([*self._compose, *arguments], seconds, check)

    def docker(self, *arguments: str, seconds: float = 60) -> str:
        return self._run(["docker", *arguments], seconds, True)

    def _run(self, command: list[str], seconds: float, check: bool) -> str:
        result = subprocess.run(
            command, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        assert not check or result.returncode == 0, f"{command}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def scale(self, workers: int) -> None:
        self.compose("up", "--detach", "--no-build", "--scale", f"worker={workers}")

    def execute(self, service: str, *command: str) -> str:
        """Runs a command in a container of this service and returns its output."""
        return self.compose("exec", "-T", service, *command)

    def query(self, sql: str) -> str:
        return self.execute("postgres", "psql", "-U", "mlsite", "-d", "mlsite", "-Atc", sql).strip()

    def containers(self, service: str) -> list[str]:
        """Returns the ids of the service's running containers."""
        labels = {"com.docker.compose.project": self.project, "com.docker.compose.service": service}
        filters = [word for name, value in labels.items() for word in ("--filter", f"label={name}={value}")]
        return self.docker("ps", "--quiet", "--no-trunc", *filters).split()

    def inspect(self, container: str) -> dict[str, Any]:
        (facts,) = json.loads(self.docker("inspect", container))
        return dict(facts)

    def health(self, service: str) -> set[str]:
        """Returns the states of the service's containers: `healthy`, `starting` or `unhealthy`."""
        return {self.inspect(container)["State"]["Health"]["Status"] for container in self.containers(service)}

    def until_healthy(self, service: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.health(service) != {"healthy"}:
            assert time.monotonic() < deadline, f"{service}: {self.health(service)} after {seconds} s"
            time.sleep(1)


def _compose_command() -> list[str]:
    """Returns the command of Compose 2, which is a part of Docker, or else of Compose 1."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "needs Docker Compose; on Debian and Ubuntu: apt install docker-compose"
    return ["docker-compose"]
