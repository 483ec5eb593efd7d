"""A client does a limited number of things at once."""

import threading

import pytest

from predictions.admission.client_slots import ClientSlots


def test_bounds_each_client_and_all_together() -> None:
    slots = ClientSlots()
    with slots.acquire("a", per_client=1, in_total=2) as first, slots.acquire("a", per_client=1, in_total=2) as second:
        assert (first, second) == (True, False)
        with (
            slots.acquire("b", per_client=1, in_total=2) as third,
            slots.acquire("c", per_client=1, in_total=2) as last,
        ):
            assert (third, last) == (True, False)
        with slots.acquire("c", per_client=1, in_total=2) as again:
            assert again


def test_an_exception_frees_the_slot() -> None:
    slots = ClientSlots()
    with pytest.raises(KeyboardInterrupt), slots.acquire("a"):
        raise KeyboardInterrupt
    assert slots.number("a") == 0 and not slots._in_use


def test_is_exact_under_concurrency() -> None:
    slots, inside, was_free = ClientSlots(), threading.Semaphore(3), []

    def work() -> None:
        for _ in range(300):
            with slots.acquire("a", per_client=3) as acquired:
                if acquired:
                    was_free.append(inside.acquire(blocking=False))
                    inside.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert was_free and all(was_free) and not slots._in_use
