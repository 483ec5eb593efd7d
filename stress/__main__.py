"""`python -m stress matrix | report | model`: measures a system under load, and says what that means."""

from __future__ import annotations

import argparse
import sys

from stress.matrix import command as matrix


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m stress", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("matrix", help="measure, cell after cell", description=matrix.__doc__)
    matrix.add_options(command)
    command.set_defaults(run=matrix.run)
    options = parser.parse_args()
    return int(options.run(options))


if __name__ == "__main__":
    sys.exit(main())
