"""Names the formats of pictures that people send and the site does not accept."""

from __future__ import annotations

_SIGNATURES = {
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"BM": "BMP",
    b"\xff\x0a": "JPEG XL",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"}  # of ISO media files; HEIC has a dozen
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})


def name(content: bytes) -> str:
    """Returns the name of the format, or an empty string if it is not among those that have one here."""
    if content[4:8] == b"ftyp":
        brand = content[8:12]
        return _BRANDS.get(brand, "HEIC" if brand in _HEIC_BRANDS else "")
    return next((format_name for start, format_name in _SIGNATURES.items() if content.startswith(start)), "")
