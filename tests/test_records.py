"""The shared words: closed lists that are public interface, and the two things a parcel can be."""

from __future__ import annotations

import pytest

from edgetwin.errors import Fault, RefusedError
from edgetwin.records import ChannelClass, Encoding, EventKind, LinkState, Parcel


def test_the_vocabularies_are_those_of_the_contract() -> None:
    """To change one is to change the interface."""
    assert list(ChannelClass) == ["critical", "slow", "event"]
    assert list(Encoding) == ["json", "cdr"]
    assert list(EventKind) == ["anomaly", "failure", "gate", "link", "store", "clock", "gap"]
    assert list(LinkState) == ["online", "offline", "stopping"]


def test_a_parcel_with_rows_is_backlog_and_without_it_is_live() -> None:
    """Nothing else tells them apart."""
    assert Parcel("t", b"", 1).live
    assert not Parcel("t", b"", 1, rows=(1,)).live


def test_a_fault_is_one_line_whatever_it_contains() -> None:
    """A value with line breaks does not break the list of faults."""
    fault = Fault("mqtt.host", "has a line\nbreak \t and\r\nmore", "remove it")

    assert str(fault) == "mqtt.host: has a line break and more; remove it"
    with pytest.raises(RefusedError) as refused:
        raise RefusedError([fault, fault])
    assert str(refused.value).count("\n") == 1
