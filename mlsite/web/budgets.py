"""Bounds the bytes that all requests, or all requests of one client, take together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from weakref import WeakValueDictionary


class ByteBudget:
    """A number of bytes, which requests reserve in the event loop and release in any thread."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_reserve(self, number: int) -> bool:
        """Reserves the bytes if they are free now, and returns whether they were."""
        with self._lock:
            is_free = number <= self._free and not self._waiting
            if is_free:
                self._free -= number
        return is_free

    async def reserve(self, number: int) -> int:
        """Waits until the bytes are free and reserves them. Returns how many it reserved: at most the whole budget."""
        number = min(number, self.size)
        if not self.try_reserve(number):
            granted = asyncio.get_running_loop().create_future()
            with self._lock:
                self._waiting.append((number, granted))
            self.release(0)  # others may have released theirs before this one waited
            try:
                await granted
            except asyncio.CancelledError:
                self._give_up(number, granted)
                raise
        return number

    def _give_up(self, number: int, granted: asyncio.Future[None]) -> None:
        """Ends a wait. Bytes that were granted at the same moment go to others."""
        with self._lock:
            is_waiting = (number, granted) in self._waiting
            if is_waiting:
                self._waiting.remove((number, granted))
        self.release(0 if is_waiting else number)

    def release(self, number: int) -> None:
        with self._lock:
            self._free += number
            while self._waiting and self._waiting[0][0] <= self._free:
                wanted, granted = self._waiting.popleft()
                self._free -= wanted
                granted.get_loop().call_soon_threadsafe(_grant, granted)


def _grant(granted: asyncio.Future[None]) -> None:
    if not granted.done():  # it was cancelled, and has given its bytes back
        granted.set_result(None)


class Reservation:
    """Bytes of a budget that one request reserves piece by piece and releases together."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._bytes = 0

    def try_add(self, number: int) -> bool:
        is_free = self._budget.try_reserve(number)
        self._bytes += number if is_free else 0
        return is_free

    def release(self) -> None:
        self._budget.release(self._bytes)
        self._bytes = 0


class ClientShares:
    """A budget of the same size for each client. It exists as long as a reservation refers to it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._budgets: WeakValueDictionary[str, ByteBudget] = WeakValueDictionary()

    def of(self, client: str) -> ByteBudget:
        return self._budgets.setdefault(client, ByteBudget(self._size))
