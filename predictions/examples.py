"""Example pictures, which visitors send with one click. Their files are in `static/examples/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, QueryDict

from predictions.exceptions import RequestRejected
from predictions.uploads import bodies, parser

FIELD = "example"
BODY_MAX_BYTES = 2**16


@dataclass(frozen=True)
class Example:
    """An example picture. `name` is also the name of its files."""

    name: str
    description: str
    credit: str

    @property
    def file_name(self) -> str:
        return f"{self.name}.jpg"

    @property
    def path(self) -> str:
        """The picture that is classified, among the static files."""
        return f"examples/{self.file_name}"

    @property
    def preview_path(self) -> str:
        """The small picture that the upload page shows."""
        return f"examples/{self.name}.webp"


EXAMPLES = (
    Example("coffee", "A cup of coffee with a spoon on a wooden table", "Rachel Michetti"),
    Example("cat", "The face of a tabby cat", "Stéfan van der Walt"),
    Example("rocket", "A rocket on its launch pad at dusk", "SpaceX"),
    Example("astronaut", "An astronaut in an orange suit in front of a flag", "NASA"),
)


def offered() -> tuple[Example, ...]:
    """Returns the examples that visitors can send: none if `EXAMPLES` is off."""
    return EXAMPLES if settings.EXAMPLES else ()


def requested_name(request: HttpRequest) -> str:
    """Returns the name of the example that a form without files asks for; empty if it asks for none.

    Raises `RequestRejected` `too-large` or `incomplete`.
    """
    if request.content_type != parser.URLENCODED:
        return ""
    return QueryDict(bodies.read_body(request, BODY_MAX_BYTES), encoding="utf-8").get(FIELD, "")


def upload(name: str) -> SimpleUploadedFile:
    """Returns the example of this name as if a visitor had uploaded it. Raises `RequestRejected` `unknown-example`."""
    example = next((example for example in offered() if example.name == name), None)
    if example is None:
        raise RequestRejected("unknown-example", "There is no example picture of that name.")
    return SimpleUploadedFile(example.file_name, content(example))


def content(example: Example) -> bytes:
    """Returns the bytes of the picture that is classified."""
    found = finders.find(example.path)
    if found is None:
        raise FileNotFoundError(example.path)
    return Path(found).read_bytes()
