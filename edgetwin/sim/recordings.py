"""Replay: which reader for which path.

In: a path, a mapping file for CSV     Out: an open recording.
The only place that knows that rosbags may be missing.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from edgetwin.errors import Fault, RefusedError
from edgetwin.sim.recorded import Recording


def open_recording(path: Path, mapping: Path | None = None) -> Recording:
    """Return the recording at `path`, opened; close it after use.

    Args:
        path: A .bag, .mcap or .db3 file or a rosbag2 folder; with a mapping a CSV file, a folder of
            them, or a pattern such as `runs/*_00.csv`.
        mapping: TOML file that says what the columns of a CSV mean.

    Raises:
        RefusedError: It cannot be played; the text says why and what to do.
    """
    if mapping is None and path.suffix == ".csv":
        cure = "give --mapping FILE.toml; config/replay has examples"
        raise RefusedError([Fault(str(path), "a CSV does not say what its columns mean", cure)])
    if mapping is None and not path.exists():
        raise RefusedError([Fault(str(path), "no such file or folder", "correct the path")])
    if find_spec("rosbags") is None:
        cure = "install it with: pip install 'edgetwin[demo]'"
        raise RefusedError([Fault("replay", "the Python package rosbags is not installed", cure)])
    if mapping is None:
        from edgetwin.sim.bag_recording import BagRecording  # noqa: PLC0415  # needs rosbags

        return BagRecording(path)
    from edgetwin.sim.csv_mapping import load_mapping  # noqa: PLC0415  # the same
    from edgetwin.sim.csv_recording import CsvRecording  # noqa: PLC0415

    return CsvRecording(path, load_mapping(mapping), mapping)
