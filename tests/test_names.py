"""A public class name stands for one class in the whole project."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from devtools.running import ROOT

PACKAGES = ("devtools", "stress", "mlsite", "learning", "review", "feedback", "predictions", "worker")
# Names with a meaning in Django, and `State`, the choices of a model's field `state`.
SHARED = {"Command", "Media", "Meta", "Migration", "State"}


def _modules() -> list[Path]:
    modules = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return [path for path in modules if not {"tests", "migrations"} & set(path.parts)]


def test_public_class_names_are_unique() -> None:
    locations = defaultdict(list)
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name not in SHARED:
                locations[node.name].append(f"{path.relative_to(ROOT)}:{node.lineno}")
    repeated = {name: found for name, found in locations.items() if len(found) > 1}
    assert not repeated
