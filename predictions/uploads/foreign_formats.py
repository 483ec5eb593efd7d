"""Names the formats of pictures that people send and the site does not accept."""

from __future__ import annotations

_SIGNATURES = {
    b"II+\x00": "BigTIFF",
    b"MM\x00+": "BigTIFF",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"\x00\x00\x01\x00": "icon",
}
_ISO_MEDIA = {b"crx ": "raw"}


def name(content: bytes) -> str:
    """Returns the name of the format, or an empty string if it is not among those that have one here."""
    if content[4:8] == b"ftyp":
        return _ISO_MEDIA.get(content[8:12], "")
    return next((format_name for start, format_name in _SIGNATURES.items() if content.startswith(start)), "")
