"""Bench: the command line. Runs the sections one after the other, prints each as soon as it is known."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import orjson

from bench.page import page
from bench.report import Section, text
from bench.site import Effort, Site
from edgetwin import __version__
from edgetwin.errors import EdgeTwinError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
_NAMES: Final = {  # section -> module, imported when it runs: micro alone needs rclpy in this process
    "reference": "bench.reference",
    "start": "bench.start",
    "outage": "bench.outage",
    "store": "bench.store",
    "uplink": "bench.uplink",
    "backlog": "bench.backlog",
    "round_trip": "bench.round_trip",
    "micro": "bench.micro",
    "outbox": "bench.micro_outbox",
    "analytics": "bench.analytics",
    "inference": "bench.inference",
    "analysed": "bench.analysed",
    "stop": "bench.stop",
    "mirror": "bench.mirror",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sections that were asked for; return the exit code."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    began_s = time.monotonic()
    effort = Effort.smoke() if arguments.smoke else Effort.quick() if arguments.quick else Effort.full()
    sections: list[Section] = []
    failed = False
    try:
        with Site(effort) as site:
            for name in arguments.section or _NAMES:
                section: Section = importlib.import_module(_NAMES[name]).measure(site)
                sections.append(section)
                print(text(section), flush=True)
    except EdgeTwinError as error:
        print(f"bench: {error}", file=sys.stderr)
        failed = True  # what was measured before it is still worth writing down
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    took_s = time.monotonic() - began_s
    print(f"took {took_s:.0f} s")
    if arguments.json:
        arguments.json.write_bytes(_as_json(sections, quick=arguments.quick or arguments.smoke, took_s=took_s))
    if arguments.markdown:
        arguments.markdown.write_text(page(sections), encoding="utf-8")
    return EXIT_FAILED if failed else 0


def _as_json(sections: Sequence[Section], *, quick: bool, took_s: float) -> bytes:
    head: dict[str, Any] = {
        "v": 1,
        "edgetwin": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "quick": quick,
        "took_s": round(took_s, 1),
    }
    return orjson.dumps(head | {"sections": sections}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="edgetwin beside the tutorial's way.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="one short round of everything, two minutes")
    length.add_argument("--smoke", action="store_true", help="shorter still: figures that only show that it runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too, as a page")
    parser.add_argument("--section", action="append", choices=_NAMES, help="only this one; may be repeated")
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal calls it
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
