"""The errors of OpenVINO in words for people."""

from __future__ import annotations

import re

from worker.inference.repository.errors import first_line

# What OpenVINO says of a file of weights that is missing, or shorter than the network says.
_EXTERNAL_DATA = re.compile(
    r"(Invalid usage of method for externally stored data in file \(|invalid external data: .*data_full_path: (.*/)?)"
    r"(?P<file>.*), offset:"
)


def reason(error: BaseException) -> str:
    """The line of a library's error that says most: OpenVINO puts the places in its source code first."""
    if type(error).__name__ == "ResourceExhaustedError":  # of TensorFlow, which may not be installed
        return "it needs more memory than this machine has"
    lines = [line.strip().removeprefix("-- ") for line in str(error).splitlines()]
    telling = [
        line
        for line in lines
        if line and not line.startswith(("Exception from", "Check '", "File:", "at ")) and " failed at src/" not in line
    ]
    causes = [line for line in telling if line.startswith("No conversion rule found")]  # what follows is a consequence
    text = (causes or telling or [first_line(error)])[-1]
    if text.startswith("Unable to read the model"):
        return "it is damaged, or not of the format that its name says"
    external = _EXTERNAL_DATA.match(text)
    if external:
        return f"its weights are in another file, which must be beside it and complete: {external['file']}"
    return text[:300]
