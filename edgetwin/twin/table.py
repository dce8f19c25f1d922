"""Twin wing: the live table, as text.

In: Report     Out: lines
Pure.
"""

from __future__ import annotations

from edgetwin.twin.mirror import Report
from edgetwin.twin.quality import ChannelQuality, RobotQuality

_HEAD = ("channel", "state", "age", "p50 ms", "p99 ms", "jitter", "1/s", "kB/s", "lost", "twice", "held", "error m")


def lines(report: Report) -> list[str]:
    """Return the table of one report: a line per robot, and below it a row per channel."""
    found = [] if report.linked else ["NO LINK TO THE BROKER: nothing below is of now."]
    rows: list[tuple[str, ...]] = [_HEAD, *(_row(channel) for robot in report.robots for channel in robot.channels)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    table = iter([_line(row, widths) for row in rows])
    found.append(next(table))
    for robot in report.robots:
        found.append(_robot(robot))
        found += [next(table) for _ in robot.channels]
    if not report.robots:
        found.append("No robot has been heard yet.")
    return found


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
    cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(cells).rstrip()


def _robot(robot: RobotQuality) -> str:
    words = [f"{robot.robot_id}: {str(robot.age).upper()}"]
    if robot.clock_offset_ms is None:
        words.append("its clock is not known (no answer to pings)")
    else:
        words.append(f"clock {robot.clock_offset_ms:+.1f} ms ± {robot.clock_uncertainty_ms or 0.0:.1f}")
        words.append(f"round trip {robot.round_trip_ms or 0.0:.1f} ms")
    if robot.clock_drift_ppm is not None:
        words.append(f"drift {robot.clock_drift_ppm:+.0f} ppm")
    if robot.clock_synced is False:
        words.append("not synchronised")
    if robot.rebased:
        words.append(f"{robot.rebased:,} stamps re-based")
    return ", ".join(words)


def _row(channel: ChannelQuality) -> tuple[str, ...]:
    held = "-" if channel.held_back is None else f"{100 * channel.held_back:.0f} %"
    return (
        f"  {channel.channel}",
        str(channel.age),
        _age(channel.age_s),
        _number(channel.latency_p50_ms, 1),
        _number(channel.latency_p99_ms, 1),
        _number(channel.jitter_ms, 1),
        f"{channel.rate_hz:.1f}",
        f"{channel.bytes_per_s / 1000:.1f}",
        f"{channel.lost:,}",
        f"{channel.duplicates:,}",
        held,
        _number(channel.position_error_p95_m, 3),
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _age(age_s: float | None) -> str:
    return "-" if age_s is None else f"{age_s:,.2f} s"
