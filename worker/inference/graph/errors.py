"""The errors of OpenVINO in words for people."""

from __future__ import annotations

from worker.inference.repository.errors import first_line


def reason(error: BaseException) -> str:
    """The line of a library's error that says most: OpenVINO puts the places in its source code first."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [
        line
        for line in lines
        if line and not line.startswith(("Exception from", "Check '", "File:", "at ")) and " failed at src/" not in line
    ]
    text = telling[-1] if telling else first_line(error)
    if text.startswith("Unable to read the model"):
        return "it is damaged, or not of the format that its name says"
    if text.startswith("Invalid usage of method for externally stored data"):
        file = text.rpartition("file (")[2].partition(",")[0]
        return f"its weights are in another file, which must be beside it: {file}"
    return text[:300]
