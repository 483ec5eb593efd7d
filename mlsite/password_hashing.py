"""Hashes passwords one at a time, so that many logins at once do not take the processor from everything else.

To hash a password takes one core about half a second, by design. Whatever hashes one comes through here: logins, also
those with an unknown user name, and the forms that set a password.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.hashers import PBKDF2PasswordHasher

from predictions.exceptions import RequestRejected

WAIT_SECONDS = 10
_RETRY_AFTER = 5
# Lets requests go first if all cores are busy.
_NICENESS = 2


class SerialPBKDF2PasswordHasher(PBKDF2PasswordHasher):
    """Django's default hasher, in one thread of low priority. The hashes are the same."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """Raises `RequestRejected` `busy` if too many other passwords are to be hashed first."""
        hashing = _thread.submit(super().encode, password, salt, iterations)
        try:
            return hashing.result(timeout=WAIT_SECONDS)
        except TimeoutError as error:
            hashing.cancel()
            message = f"Other passwords have to be checked first. Please try again in {_RETRY_AFTER} s."
            raise RequestRejected("busy", message, status=503, retry_after=_RETRY_AFTER) from error


def _lower_priority() -> None:
    if sys.platform == "linux":  # elsewhere threads have no priority of their own
        thread = threading.get_native_id()
        # Counted from the priority of the process, which only root may exceed.
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS)


_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords", initializer=_lower_priority)
