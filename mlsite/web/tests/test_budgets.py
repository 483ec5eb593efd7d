import asyncio

from mlsite.web.budgets import ByteBudget, ClientShares, Reservation


def test_reserves_no_more_than_the_budget() -> None:
    budget = ByteBudget(10)
    assert budget.try_reserve(6)
    assert not budget.try_reserve(5)
    budget.release(6)
    assert budget.try_reserve(10)


def test_releases_what_was_reserved_piece_by_piece() -> None:
    budget = ByteBudget(10)
    reservation = Reservation(budget)
    assert reservation.try_add(4) and reservation.try_add(5)
    assert not reservation.try_add(2)
    reservation.release()
    reservation.release()
    assert budget.try_reserve(10)
    assert not budget.try_reserve(1)


def test_waits_in_order() -> None:
    """A large reservation is not overtaken by small ones for ever."""

    async def wait() -> list[str]:
        budget = ByteBudget(10)
        granted = []

        async def reserve(name: str, number: int) -> None:
            await budget.reserve(number)
            granted.append(name)

        assert budget.try_reserve(5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reserve("large", 9))
            await asyncio.sleep(0)
            tasks.create_task(reserve("small", 1))
            await asyncio.sleep(0)
            assert not budget.try_reserve(1)
            assert granted == []
            await asyncio.to_thread(budget.release, 5)
        return granted

    assert asyncio.run(wait()) == ["large", "small"]


def test_grants_the_whole_budget_to_what_is_larger() -> None:
    assert asyncio.run(ByteBudget(10).reserve(99)) == 10


def test_each_client_has_its_own_share() -> None:
    shares = ClientShares(10)
    first, second = Reservation(shares.of("192.0.2.1")), Reservation(shares.of("192.0.2.1"))
    assert first.try_add(6)
    assert not second.try_add(6)
    assert Reservation(shares.of("198.51.100.9")).try_add(6)
    first.release()
    assert second.try_add(6)


def test_cancelled_wait_leaves_the_budget_to_others() -> None:
    async def cancelled(*, after_release: bool) -> bool:
        budget = ByteBudget(10)
        assert budget.try_reserve(10)
        waiting = asyncio.create_task(budget.reserve(9))
        await asyncio.sleep(0)
        if after_release:
            budget.release(10)
        waiting.cancel()
        await asyncio.wait([waiting])
        if not after_release:
            budget.release(10)
        await asyncio.sleep(0)
        return budget.try_reserve(10)

    assert asyncio.run(cancelled(after_release=False))
    assert asyncio.run(cancelled(after_release=True)), "the bytes were granted at the same moment"
