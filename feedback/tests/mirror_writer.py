"""A process that stores reports: `python -m feedback.tests.mirror_writer PREFIX COUNT`."""

import sys

import django


def main(prefix: str, count: int) -> None:
    django.setup()
    from feedback.services import report_take

    for number in range(count):
        report_take(text=f"{prefix} {number} " + "x" * (number * 37 % 9000))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
