"""Argument types that several commands share."""

from argparse import ArgumentTypeError


def port(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= 65535:
        raise ArgumentTypeError(f"{value!r} is not a port: 1 to 65535")
    return int(value)
