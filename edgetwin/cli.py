"""Roof: the command line. Parses, calls one command, turns errors into lines and exit codes.

0 fine, 1 failed at run time, 2 refused (one line per fault), 130 on Ctrl-C. Commands import what they
need when they run: `--help` and `status` do not wait for ROS.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from edgetwin import __version__
from edgetwin.errors import EdgeTwinError, RefusedError

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except RefusedError as refused:
        for fault in refused.faults:
            print(fault, file=sys.stderr)
        return EXIT_REFUSED
    except EdgeTwinError as error:
        print(f"edgetwin: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone; so does the rest
        return EXIT_FAILED


def _run(arguments: argparse.Namespace) -> int:
    gc.disable()  # what is imported from here on stays; the daemon collects again once it runs
    from edgetwin import service

    return service.run(_config_path(arguments), os.environ)


def _check(arguments: argparse.Namespace) -> int:
    from edgetwin import check

    return check.run(_config_path(arguments), os.environ, as_json=arguments.json)


def _status(arguments: argparse.Namespace) -> int:
    from edgetwin import status
    from edgetwin.clock import SystemClock

    if arguments.watch:
        from edgetwin.status_watch import watch

        watch(os.environ, sys.stdout, SystemClock(), as_json=arguments.json)
    return status.show(os.environ, SystemClock(), as_json=arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from edgetwin.doctor import command

    return command.run(_config_path(arguments), os.environ, as_json=arguments.json)


def _demo(arguments: argparse.Namespace) -> int:
    from edgetwin.sim import demo

    return demo.run(arguments.seconds, as_json=arguments.json)


def _replay(arguments: argparse.Namespace) -> int:
    from edgetwin.sim import replay

    return replay.main(replay.from_arguments(arguments))


def _drive(arguments: argparse.Namespace) -> int:
    from edgetwin.drive import command

    return command.main(arguments)


def _mirror(arguments: argparse.Namespace) -> int:
    from edgetwin.twin import command

    return command.main(arguments)


def _train(arguments: argparse.Namespace) -> int:
    from edgetwin.train import command

    return command.main(arguments)


def _backtest(arguments: argparse.Namespace) -> int:
    from edgetwin.backtest import command

    return command.main(arguments)


def _export(arguments: argparse.Namespace) -> int:
    from edgetwin.export import command

    return command.main(arguments)


def _config_path(arguments: argparse.Namespace) -> Path:
    from edgetwin.config import default_path

    return arguments.config or default_path(os.environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgetwin", description="The on-robot half of a digital twin.")
    parser.add_argument("--version", action="version", version=f"edgetwin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    run = commands.add_parser("run", help="the daemon: ROS 2 in, MQTT out, until SIGTERM")
    check = commands.add_parser("check", help="validate the configuration and print the effective settings")
    doctor = commands.add_parser("doctor", help="look at everything the daemon needs, and say what would cure it")
    for command, function in ((run, _run), (check, _check), (doctor, _doctor)):
        command.add_argument(
            "--config", type=Path, metavar="FILE", help="default: $EDGETWIN_CONFIG, else /etc/edgetwin/edgetwin.toml"
        )
        command.set_defaults(command=function)
    check.add_argument("--json", action="store_true", help="print the settings as JSON")
    doctor.add_argument("--json", action="store_true", help="print what was found as JSON")

    status = commands.add_parser("status", help="what the running daemon says")
    status.add_argument("--json", action="store_true", help="print all of it as JSON")
    status.add_argument("--watch", action="store_true", help="show it again every second, until Ctrl-C")
    status.set_defaults(command=_status)

    demo = commands.add_parser("demo", help="everything on one machine, without any set-up")
    demo.add_argument("--seconds", type=_positive, default=None, metavar="N", help="how long (default: 40)")
    demo.add_argument("--json", action="store_true", help="end with one line of JSON")
    demo.set_defaults(command=_demo)

    replay = commands.add_parser("replay", help="play a recording into ROS topics")
    if "replay" in sys.argv[1:2]:
        from edgetwin.sim.replay import add_arguments

        add_arguments(replay)
    replay.set_defaults(command=_replay)

    drive = commands.add_parser("drive", help="drive a robot: lease, moves from keys or a script, stop, reset")
    if "drive" in sys.argv[1:2]:
        from edgetwin.drive.options import add_arguments as add_drive_arguments

        add_drive_arguments(drive)
    drive.set_defaults(command=_drive)

    mirror = commands.add_parser("mirror", help="the other end: robots as /virtual/<robot>/<channel> ROS topics")
    if "mirror" in sys.argv[1:2]:
        from edgetwin.twin.options import add_arguments as add_mirror_arguments

        add_mirror_arguments(mirror)
    mirror.set_defaults(command=_mirror)

    train = commands.add_parser("train", help="fit the failure model on labelled history and export ONNX")
    if "train" in sys.argv[1:2]:
        from edgetwin.train.wish import add_arguments as add_train_arguments

        add_train_arguments(train)
    train.set_defaults(command=_train)

    backtest = commands.add_parser("backtest", help="run the detectors over a recording, and score them")
    if "backtest" in sys.argv[1:2]:
        from edgetwin.backtest.command import add_arguments as add_backtest_arguments

        add_backtest_arguments(backtest)
    backtest.set_defaults(command=_backtest)

    export = commands.add_parser("export", help="write stored or recorded telemetry, or the audit, as CSV or MCAP")
    if "export" in sys.argv[1:2]:
        from edgetwin.export.options import add_arguments as add_export_arguments

        add_export_arguments(export)
    export.set_defaults(command=_export)
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        msg = f"{text!r} is not a positive number of seconds"
        raise argparse.ArgumentTypeError(msg)
    return value
