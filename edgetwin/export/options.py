"""Export: what the user asked for, checked.

In: the arguments of `edgetwin export`     Out: Wish, or every fault at once.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from edgetwin import config
from edgetwin.errors import Fault, RefusedError
from edgetwin.export.columns import ARRAY_MAX
from edgetwin.export.csv_file import COLUMNS_MAX
from edgetwin.export.csv_files import names
from edgetwin.export.place import taken
from edgetwin.export.times import parsed
from edgetwin.records import Encoding
from edgetwin.settings import Channel, Settings

_RECORDINGS = frozenset({".mcap", ".db3", ".bag", ".csv"})
_EARLIEST_NS, _LATEST_NS = -(2**63), 2**63


@dataclass(frozen=True, slots=True)
class Wish:
    """One export.

    Attributes:
        source: An outbox file or a recording.
        out: FILE.csv, FILE.mcap, with `audit` FILE.jsonl; or a folder for CSV files.
        channels: Names (of a recording also topics); empty: all.
        since_ns, until_ns: Stamps from the first on, before the second [ns since 1970].
        mapping: What the columns of a CSV mean.
        audit: The decisions of the gate, instead of records.
        dead_letters: What the broker refused for good, instead of what waits.
        array_max: The most elements of an array that get columns of their own in CSV.
        known: Settings of channels; empty without settings.
    """

    source: Path
    out: Path
    channels: frozenset[str] = frozenset()
    since_ns: int = _EARLIEST_NS
    until_ns: int = _LATEST_NS
    mapping: Path | None = None
    audit: bool = False
    dead_letters: bool = False
    array_max: int = ARRAY_MAX
    force: bool = False
    as_json: bool = False
    known: Mapping[str, Channel] = field(default_factory=dict)

    @property
    def is_recording(self) -> bool:
        """Whether the source is a recording of ROS messages; else it is an outbox."""
        return self.mapping is not None or self.source.suffix in _RECORDINGS or self.source.is_dir()

    @property
    def holds_ros(self) -> bool:
        """Whether ROS messages are to be expected: all of a recording are, and those of cdr channels."""
        cdr = {name for name, channel in self.known.items() if channel.encoding is Encoding.CDR}
        return self.is_recording or any(map(self.wants, cdr))

    def wants(self, channel: str) -> bool:
        """Whether a channel was asked for."""
        return not self.channels or channel in self.channels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `edgetwin export`."""
    add = parser.add_argument
    add("source", nargs="?", type=Path, metavar="SOURCE", help="outbox file, .bag, .mcap, .db3, rosbag2 folder, or CSV"
        " with --mapping (default: [store] path of the settings)")  # fmt: skip
    add("--out", required=True, type=Path, metavar="FILE", help="FILE.csv, FILE.mcap, or a folder for CSV files")
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings: outbox, topics, types (default: as for run, without SOURCE)",
    )
    add("--channel", action="append", default=[], metavar="NAME", help="only this channel; may be repeated")
    add(
        "--from",
        dest="since",
        type=_stamp_ns,
        metavar="T",
        help="measured at T or later: ISO 8601 (UTC), or seconds since 1970",
    )
    add("--to", dest="until", type=_stamp_ns, metavar="T", help="measured before T")
    add("--mapping", type=Path, metavar="FILE.toml", help="what the columns of a CSV mean; see config/replay")
    add("--array-max", type=_elements, default=ARRAY_MAX, metavar="N",
        help=f"CSV: longer arrays are left out but for their length (default: {ARRAY_MAX})")  # fmt: skip
    add("--audit", action="store_true", help="the gate's decisions as FILE.jsonl or FILE.csv, and whether they verify")
    add("--dead-letters", action="store_true", help="what the broker refused for good, instead of what waits")
    add("--force", action="store_true", help="replace files that are there")
    add("--json", action="store_true", help="print the summary as one line of JSON")


def from_arguments(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> Wish:
    """Return the wish.

    Raises:
        RefusedError: Every fault.
    """
    settings = _settings(arguments, environ)
    wish = Wish(
        source=arguments.source if settings is None or arguments.source is not None else settings.store.path,
        out=arguments.out,
        channels=frozenset(arguments.channel),
        since_ns=_EARLIEST_NS if arguments.since is None else arguments.since,
        until_ns=_LATEST_NS if arguments.until is None else arguments.until,
        mapping=arguments.mapping,
        audit=arguments.audit,
        dead_letters=arguments.dead_letters,
        array_max=arguments.array_max,
        force=arguments.force,
        as_json=arguments.json,
        known={} if settings is None else settings.channels,
    )
    faults = [*_faults_of_out(wish), *_faults_of_choice(wish)]
    if faults:
        raise RefusedError(faults)
    return wish


def _settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings | None:
    if arguments.config is None and arguments.source is not None:
        return None  # another robot's file, perhaps: this one's settings may not fit
    return config.load(arguments.config or config.default_path(environ), environ).settings


def _faults_of_out(wish: Wish) -> list[Fault]:
    out = wish.out
    fitting = {".jsonl", ".csv"} if wish.audit else {".csv", ".mcap"}
    if out.is_dir() and not wish.audit:
        return []
    if out.suffix not in fitting:
        return [Fault("--out", f"{out} says no format", f"end it in {' or '.join(sorted(fitting))}")]
    if not out.parent.is_dir():
        return [Fault("--out", f"there is no folder {out.parent}", "make it, or choose another")]
    if out.exists() and wish.source.exists() and out.samefile(wish.source):
        return [Fault("--out", f"{out} is what is exported", "choose another name")]
    named = [out, *names(out, sorted(wish.channels)).values()]
    faults = [] if wish.force else [taken(path) for path in dict.fromkeys(named) if path.exists()]
    if out.suffix == ".mcap" and find_spec("mcap") is None:
        cure = "install it with: pip install 'edgetwin[demo]'"
        faults.append(Fault("--out", "MCAP needs the Python package mcap, which is not installed", cure))
    return faults


def _faults_of_choice(wish: Wish) -> list[Fault]:
    faults = []
    if wish.since_ns >= wish.until_ns:
        faults.append(Fault("--to", "is not after --from", "exchange them"))
    if wish.audit and (wish.is_recording or wish.dead_letters or wish.channels):
        faults.append(
            Fault("--audit", "is of an outbox as a whole", "leave out --channel, --dead-letters, or a recording")
        )
    if wish.dead_letters and wish.is_recording:
        faults.append(Fault("--dead-letters", "are in an outbox, not in a recording", "name an outbox"))
    return faults


def _stamp_ns(text: str) -> int:
    try:
        return parsed(text)
    except ValueError as error:
        msg = f"{text!r} is neither ISO 8601 nor seconds since 1970"
        raise argparse.ArgumentTypeError(msg) from error


def _elements(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= COLUMNS_MAX:
        msg = f"{text!r} is not a number from 1 to {COLUMNS_MAX}"
        raise argparse.ArgumentTypeError(msg)
    return value
