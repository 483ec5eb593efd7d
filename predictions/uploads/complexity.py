"""Counts the parts of a picture file, because decoders spend time on each part, however small the file is."""


class TooComplex(Exception):
    """The file has more parts than any real picture."""


class Count:
    """Counts up to a limit. Raises `TooComplex` past it."""

    def __init__(self, at_most: int) -> None:
        self.left = at_most

    def add(self, number: int = 1) -> None:
        self.left -= number
        if self.left < 0:
            raise TooComplex
