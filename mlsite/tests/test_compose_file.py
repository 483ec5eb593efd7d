"""Checks docker-compose.yml without a container; `make test-compose` runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlsite.secret_files import write_secrets
from mlsite.tests.test_documentation import NOT_READ_BY_SETTINGS, ROOT, variables

# The image sets these, or they have no meaning in a container.
NOT_PASSED_ON = {"DATA_DIR", "FEEDBACK_FILE", "STATIC_DIR", "ENGINE_THREADS", "DEBUG"} | NOT_READ_BY_SETTINGS
SECRETS = {"SECRET_KEY", "DATABASE_URL"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def _resolved(value: str, given: dict[str, str]) -> str:
    """`${NAME:-default}`, as Compose reads it."""
    return re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1]) or match[2], str(value))


def test_every_setting_can_be_set(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    passed_on = {name.removesuffix("_FILE") for name in environment}
    assert passed_on == variables() - NOT_PASSED_ON
    assert {f"{name}_FILE" for name in SECRETS} <= set(environment)
    for service in ("worker", "exporter", "migrate"):
        assert compose["services"][service]["environment"] == environment


def test_holds_no_secrets(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert re.findall(r"(?:PASSWORD|SECRET_KEY): (.*)", text) == ["${SECRET_KEY:-}", "${POSTGRES_PASSWORD:-}"]


@pytest.mark.parametrize("service", ["web", "worker", "exporter", "redis", "postgres"])
def test_services_have_limits_and_restart(compose: dict[str, Any], service: str) -> None:
    definition = compose["services"][service]
    assert {"cpus", "mem_limit", "stop_grace_period"} <= set(definition)
    assert definition["restart"] == "unless-stopped"


def test_settings_are_safe_to_deploy(compose: dict[str, Any], tmp_path: Path) -> None:
    """`check --deploy` has no warnings for the settings of the containers behind a proxy (docs/deploying.md)."""
    write_secrets(tmp_path, {})
    given = {"HTTPS": "true", "ALLOWED_HOSTS": "pictures.example.org"}
    settings = {
        name: _resolved(value, given).replace("/secrets/", f"{tmp_path}/")
        for name, value in compose["services"]["web"]["environment"].items()
    }
    environment = {name: os.environ[name] for name in ("PATH", "ENV_FILE")} | {"DATA_DIR": str(tmp_path), **settings}
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert "no issues (0 silenced)" in result.stdout
