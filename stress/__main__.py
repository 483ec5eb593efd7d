"""`python -m stress matrix | report`: measures a system under load and reports the results."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devtools.running import ROOT
from stress.matrix import command as matrix
from stress.report import command as report

COMMANDS = (
    ("matrix", matrix, "measure, cell by cell"),
    ("report", report, "write report.md from the results"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module, about in COMMANDS:
        command = commands.add_parser(name, help=about, description=module.__doc__)
        command.add_argument(
            "--results", type=Path, default=ROOT / "stress" / "results", help="folder (stress/results)"
        )
        module.add_options(command)
        command.set_defaults(run=module.run)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
