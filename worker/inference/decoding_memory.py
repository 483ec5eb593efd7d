"""Bounds the memory that decoding images takes in this process, over all threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Five 12-megapixel photos at once.
DEFAULT_LIMIT_BYTES = 256 * 2**20

# The C library keeps freed memory for later, separately for each thread. glibc can be told to return it to the system.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


class DecodingMemory:
    """A semaphore that counts bytes.

    An image that needs more than the limit is decoded alone. The peak is therefore the limit, or what the largest
    accepted image needs, whichever is more.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT_BYTES) -> None:
        self.limit = limit
        self._used = 0
        self._freed = 0  # bytes that the C library may still keep
        self._next = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, byte_count: int) -> Iterator[None]:
        """Waits until this many bytes fit within the limit or nothing else is decoded, and holds them meanwhile."""
        # One thread at a time waits for memory, so that small images do not overtake a large one for ever.
        with self._next, self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + byte_count <= self.limit)
            if self._freed and self._used + self._freed + byte_count > self.limit:
                self._freed = 0
                if _malloc_trim is not None:
                    _malloc_trim(0)
            self._used += byte_count
        try:
            yield
        finally:
            with self._changed:
                self._used -= byte_count
                self._freed += byte_count
                self._changed.notify_all()


# Of this process. A program may set its `limit`.
DECODING_MEMORY = DecodingMemory()
