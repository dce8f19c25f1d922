"""The arguments of `edgetwin drive`: what they mean, and what is wrong with them."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from edgetwin.clock import SystemClock
from edgetwin.drive.options import Wish, add_arguments, wish_of
from edgetwin.drive.requests import Admission
from edgetwin.errors import RefusedError
from edgetwin.motion import Twist


def wish(*arguments: str) -> Wish:
    """Return the wish of a command line."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return wish_of(parser.parse_args(["--robot", "robot_001", *arguments]), SystemClock())


def faults(*arguments: str) -> list[str]:
    """Return the faults of a command line."""
    with pytest.raises(RefusedError) as refused:
        wish(*arguments)
    return [str(fault) for fault in refused.value.faults]


def test_the_defaults_are_those_of_a_robot_on_this_machine() -> None:
    """Keys, with a lease, by a broker on loopback, without TLS."""
    found = wish()

    assert (found.address.host, found.address.port) == ("127.0.0.1", 1883)
    assert found.address.tls is None
    assert found.address.topics.root == "robot/robot_001"
    assert found.requests.admission is Admission.LEASE
    assert (found.twist, found.seconds) == (Twist(0.2, 0.5), None)
    assert {found.stop, found.reset, found.take, found.as_json} == {False}


def test_a_script_goes_straight_unless_it_is_told() -> None:
    """0.5 rad/s is for keys."""
    assert wish("--seconds", "3").twist == Twist(0.2, 0.0)
    assert wish("--seconds", "3", "--linear", "-0.1", "--angular", "0.3").twist == Twist(-0.1, 0.3)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("broker.example", ("broker.example", 1883)),
        ("broker.example:1884", ("broker.example", 1884)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[::1]:1884", ("::1", 1884)),
        ("[::1]", ("::1", 1883)),
        ("::1", ("::1", 1883)),
    ],
)
def test_a_broker_is_a_host_and_perhaps_a_port(text: str, address: tuple[str, int]) -> None:
    """Names, addresses, brackets."""
    found = wish("--broker", text).address

    assert (found.host, found.port) == address


@pytest.mark.parametrize("text", ["", ":1883", "host:", "host:0", "host:65536", "host:port:1"])
def test_a_broker_that_is_none_is_a_fault(text: str) -> None:
    """Before anything is dialled."""
    if text == "host:port:1":
        assert wish("--broker", text).address.host == "host:port:1"  # it may be an IPv6 address; the resolver knows
        return
    assert faults("--broker", text) == [f"--broker: {text!r} is no address; give HOST or HOST:PORT"]


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--prefix", ""), "--prefix"),
        (("--prefix", "a/b"), "--prefix"),
        (("--prefix", "#"), "--prefix"),
        (("--client", "x" * 65), "--client"),
        (("--client", "a\nb"), "--client"),
        (("--linear", "nan"), "--linear"),
        (("--angular", "inf"), "--angular"),
        (("--seconds", "0"), "--seconds"),
        (("--seconds", "-1"), "--seconds"),
        (("--seconds", "inf"), "--seconds"),
        (("--password-file", "/nonexistent"), "--password-file"),
        (("--ca", "/nonexistent"), "--ca"),
        (("--cert", "/nonexistent"), "--cert"),
        (("--client", "anna", "--key", "/nonexistent"), "--key"),
    ],
)
def test_each_fault_has_its_option_and_its_cure(arguments: tuple[str, ...], where: str) -> None:
    """One line each."""
    (fault,) = faults(*arguments)

    assert fault.startswith(f"{where}: ")
    assert "; " in fault
    assert "\n" not in fault


def test_all_faults_are_told_at_once() -> None:
    """Not one per try."""
    found = faults("--linear", "nan", "--seconds", "0", "--key", "/nonexistent")

    assert [fault.split(":")[0] for fault in found] == ["--linear", "--seconds", "--key", "--key"]


def test_tls_asks_for_the_port_of_tls(tmp_path: Path) -> None:
    """With an authority of one's own; the password comes from a file, without its line's end."""
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    found = wish("--ca", str(authority), "--username", "anna", "--password-file", str(secret)).address

    assert found.port == 8883
    assert found.tls is not None
    assert (found.username, found.password) == ("anna", "s3cret")
    assert "s3cret" not in repr(found)
    assert wish("--tls").address.tls is not None


def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `edgetwin drive` as a user does, away from any terminal."""
    return subprocess.run(
        [sys.executable, "-m", "edgetwin", "drive", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_line_refuses_with_two() -> None:
    """Faults on stderr, nothing on stdout: nothing was dialled."""
    refused = ran("--robot", "a b", "--seconds", "1")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == "--robot: 'a b' cannot be used; give [robot] id of its configuration\n"


def test_without_a_terminal_there_are_no_keys() -> None:
    """In a pipe one needs --seconds."""
    refused = ran("--robot", "robot_001")

    assert refused.returncode == 2
    assert refused.stderr == "stdin: is no terminal; drive from one, or with --seconds\n"


def test_nobody_there_is_one_line_and_one() -> None:
    """A port where nobody listens; what this is, and is not, was said before."""
    failed = ran("--robot", "robot_001", "--broker", "127.0.0.1:1", "--seconds", "1")

    assert failed.returncode == 1
    assert failed.stdout == (
        "This is a controlled stop by software, not an emergency stop; a certified one is hardware.\n"
    )
    assert failed.stderr.startswith("edgetwin: 127.0.0.1:1: ")
    assert failed.stderr.count("\n") == 1
