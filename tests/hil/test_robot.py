"""Stop latency, deadman distance, link cut, end-to-end loss; of a simulated robot, and unchanged of a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

import pytest

from edgetwin.errors import LinkError
from tests.hil.rig import Receiver, Track, driven, released, up_to_speed
from tests.hil.site import Site
from tests.integration.lab import until

pytestmark = pytest.mark.hil

STOPS = 3
ROOM = "clear 3 m around the robot, keep a hand on its emergency stop; it drives in a circle"
_POLL_S = 0.002
_SILENCE_S = 1.0
_BACKLOG_PATIENCE_S = 60.0


def test_a_stop_is_a_zero_at_the_base_in_time(site: Site, track: Track) -> None:
    """From the command to the first zero, at speed; then nothing but zeros, and a standstill."""
    site.needs(f"{ROOM}, {STOPS} times, and is stopped by command")

    async def once() -> float:
        async with driven(site, track) as client:
            await up_to_speed(client, track, site.limits)
            track.look()
            since, sent_s = len(track.twists), time.monotonic()
            stopping = asyncio.ensure_future(client.stop())
            async with asyncio.timeout(10):
                while not any(zero for _, zero in track.twists[since:]):
                    await asyncio.sleep(_POLL_S)
                    track.look()
                while not track.stands():  # noqa: ASYNC110  # it is looking that takes what has come
                    await asyncio.sleep(_POLL_S)
            answer = await stopping
            words = track.twists[since:]
            first = next(index for index, (_, zero) in enumerate(words) if zero)
            assert answer.state == "HELD"
            assert all(zero for _, zero in words[first:]), "it was moved on after the first zero"
            assert await released(client), "the stop cannot be released"
            return words[first][0] - sent_s

    latencies_s = [asyncio.run(once()) for _ in range(STOPS)]

    print(f"stop latency: {', '.join(f'{1e3 * one:.1f}' for one in latencies_s)} ms (polled every 2 ms)")
    assert max(latencies_s) <= site.limits.stop_latency_max_s


def test_without_words_the_robot_stands_within_the_distance(site: Site, track: Track) -> None:
    """The client falls silent at speed, and keeps its lease and its connection: the deadman brakes."""
    site.needs(f"{ROOM}, and nobody tells it to stop")

    async def fall_silent() -> int:
        async with driven(site, track) as client:
            await up_to_speed(client, track, site.limits)
            since = len(track.poses) - 1
            async with asyncio.timeout(10):
                while not track.stood_since(since):  # noqa: ASYNC110  # it is looking that takes what has come
                    await asyncio.sleep(_POLL_S)
            return since

    since = asyncio.run(fall_silent())
    way_m = track.way_to_standstill_m(since)

    print(f"deadman: {way_m:.3f} m from {track.poses[since][2]:.2f} m/s")
    assert way_m <= site.limits.stop_distance_max_m


def test_when_the_link_is_cut_the_robot_stands_and_old_moves_do_not_move_it(site: Site, track: Track) -> None:
    """Moves are sent on into the cut; when the link is back, none of them turns a wheel."""
    site.needs(f"{ROOM}, and its link to the broker is cut for {site.limits.outage_s:g} s")

    async def cut() -> tuple[int, int]:
        async with driven(site, track) as client:
            await up_to_speed(client, track, site.limits)
            since = len(track.poses) - 1
            try:
                await asyncio.to_thread(site.cut)
                async with asyncio.timeout(10):
                    while not track.stood_since(since):
                        await _into_the_cut(client.move(site.limits.twist))
                track.look()
                words = len(track.twists)
                await asyncio.sleep(site.limits.outage_s)
            finally:
                await asyncio.to_thread(site.restore)
            await asyncio.sleep(1.0)
            return since, words

    since, words = asyncio.run(cut())
    way_m = track.way_to_standstill_m(since)

    print(f"link cut: {way_m:.3f} m from {track.poses[since][2]:.2f} m/s")
    assert way_m <= site.limits.stop_distance_max_m
    assert all(zero for _, zero in track.twists[words:])


async def _into_the_cut(move: Awaitable[bool]) -> None:
    """Send a move that may find no link."""
    try:
        async with asyncio.timeout(0.1):
            await move
    except (LinkError, TimeoutError):
        pass
    await asyncio.sleep(0.02)


def test_an_outage_costs_no_record(site: Site) -> None:
    """Every number that follows the first one arrives; the robot gives nothing up."""
    site.needs(f"let it stand; its link to the broker is cut for {site.limits.outage_s:g} s")
    with Receiver(site) as receiver:
        until(lambda: receiver.arrived >= 50, "records before the cut")
        try:
            site.cut()
            time.sleep(site.limits.outage_s)
            before = receiver.arrived
            time.sleep(_SILENCE_S)
            silent = receiver.arrived == before
        finally:
            site.restore()
        until(lambda: receiver.arrived >= before + 50, "records after the cut")
        until(lambda: receiver.unexplained() == 0, lambda: f"{receiver.unexplained()} missing", _BACKLOG_PATIENCE_S)
        arrived, explained = receiver.continuity.records, receiver.explained()

    print(f"loss: 0 of {arrived} records over an outage of {site.limits.outage_s:g} s")
    assert silent, "the cut cuts nothing"
    assert explained == {}
