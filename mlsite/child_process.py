"""Replaces itself by another program, which ends when its parent ends, even if the parent is killed.

    python -I -S child_process.py COMMAND [ARGUMENT...]

On Linux, the kernel sends SIGTERM to the program when its parent ends, so that it stops in order. On other systems it
is not told. This file is also imported, and imports only the standard library, so that it starts within milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys

PARENT = "MLSITE_PARENT_PID"  # the process id that the program's children find as that of their parent

_PR_SET_PDEATHSIG = 1  # prctl(2)


def stop_when_parent_ends() -> None:
    """Asks for a SIGTERM when the parent ends. Ends at once if the expected parent has ended already."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have ended before that call. Its children then have another parent.
    expected = os.environ.get(PARENT)
    if expected is not None and expected != str(os.getppid()):
        sys.exit(f"the parent process {expected} has ended")


def command(arguments: list[str]) -> list[str]:
    """Returns a command line that runs the given one as such a child."""
    return [sys.executable, "-I", "-S", __file__, *arguments]


def environment_of_child() -> dict[str, str]:
    """Returns the variables that tell a child which parent to expect."""
    return {PARENT: str(os.getpid())}


if __name__ == "__main__":
    stop_when_parent_ends()
    os.environ.update(environment_of_child())
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - replaces this process
