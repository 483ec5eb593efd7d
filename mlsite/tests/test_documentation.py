"""The documents match the code."""

import re
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parents[2]
NOT_READ_BY_SETTINGS = {"HOST", "PORT", "WORKERS"}  # `manage.py up` reads these


def variables() -> set[str]:
    source = (ROOT / "mlsite" / "settings.py").read_text()
    return set(re.findall(r'env(?:\.\w+)?\(\s*"([A-Z_]+)"', source)) | NOT_READ_BY_SETTINGS


@pytest.mark.parametrize("name", sorted(variables()))
def test_every_variable_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "configuration.md").read_text()
    assert f"{name}=" in (ROOT / ".env.example").read_text()


def test_every_documented_variable_exists_and_has_one_row() -> None:
    documented = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(variables())


def _routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> list[str]:
    routes = []
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith("admin/"):
            continue
        routes += _routes(pattern.url_patterns, route) if isinstance(pattern, URLResolver) else [f"/{route}"]
    return routes


@pytest.mark.parametrize("route", sorted(_routes(get_resolver().url_patterns)))
def test_every_route_is_documented(route: str) -> None:
    readable = re.sub(r"<\w+:\w+>", "<uuid>", route)
    assert readable in (ROOT / "docs" / "api.md").read_text()


def test_architecture_names_every_package() -> None:
    """It names packages, not modules, so that a new file does not change the document."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    unlisted = {"tests", "migrations", "management", "commands", "templatetags"}
    tops = [ROOT / name for name in ("learning", "review", "feedback", "predictions", "worker", "mlsite")]
    for package in [path.parent for top in tops for path in top.rglob("__init__.py")]:
        if not unlisted & set(package.relative_to(ROOT).parts):
            assert f"{package.name}/" in text, package
