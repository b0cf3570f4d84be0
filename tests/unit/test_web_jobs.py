"""What web servers hand to the thread of the bus: presses before looks, and room for either."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from listener.errors import BusError, Corrupt
from listener.webserver import jobs
from listener.webserver.jobs import Done, Jobs, NotBegun


def test_presses_go_before_looks_and_each_in_the_order_in_which_they_came() -> None:
    async def handed_over() -> list[str]:
        queue, done = Jobs(), list[str]()

        def job(name: str) -> Callable[[], None]:
            return lambda: done.append(name)

        words = [("look 1", False), ("look 2", False), ("press 1", True), ("look 3", False), ("press 2", True)]
        waiting = [asyncio.create_task(queue.hand_over(job(name), press=press)) for name, press in words]
        await asyncio.sleep(0)
        while queue.do_one(0.0) is not None:
            pass
        await asyncio.gather(*waiting)
        return done

    assert asyncio.run(handed_over()) == ["press 1", "press 2", "look 1", "look 2", "look 3"]


def test_looks_that_fill_their_room_keep_nobody_from_pressing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_WAITING", 2)

    async def handed_over() -> tuple[str, int]:
        queue = Jobs()
        looks = [asyncio.create_task(queue.hand_over(lambda: "look")) for _ in range(3)]
        await asyncio.sleep(0)
        pressed = asyncio.create_task(queue.hand_over(lambda: "pressed", press=True))
        await asyncio.sleep(0)
        while queue.do_one(0.0) is not None:
            pass
        found = await asyncio.gather(*looks, return_exceptions=True)
        return await pressed, sum(isinstance(each, NotBegun) for each in found)

    assert asyncio.run(handed_over()) == ("pressed", 1)


def test_what_nobody_waits_for_any_more_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SECONDS", 0.05)

    async def handed_over() -> list[str]:
        queue, done = Jobs(), list[str]()
        with pytest.raises(NotBegun):
            await queue.hand_over(lambda: done.append("late"), press=True)
        assert queue.do_one(0.0) == Done()
        assert queue.do_one(0.0) is None
        return done

    assert asyncio.run(handed_over()) == []


def test_who_waits_is_told_what_went_wrong_and_our_own_corruption_stops_the_thread() -> None:
    async def handed_over(error: Exception) -> Exception:
        queue = Jobs()

        def job() -> None:
            raise error

        def turn() -> None:
            try:
                told.append(queue.do_one(10.0))
            except Corrupt as corrupt:
                told.append(corrupt)

        told: list[object] = []
        thread = threading.Thread(target=turn)
        thread.start()
        with pytest.raises(type(error)) as raised:
            await queue.hand_over(job)
        thread.join(10)
        assert told == [error if isinstance(error, Corrupt) else Done(error)]
        return raised.value

    for error in (BusError("away"), Corrupt("broken")):
        assert asyncio.run(handed_over(error)) is error
