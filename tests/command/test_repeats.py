"""The ring of decided commands: found by client and id, bounded, and settled once."""

from __future__ import annotations

import json

import pytest

from edgetwin.command.repeats import Repeats, digest_of
from edgetwin.motion import Answer, Reason, State, Twist, Verb, Verdict
from edgetwin.wire import ack

ONE, TWO = digest_of("t", b"one"), digest_of("t", b"two")


def ring(size: int = 3) -> Repeats:
    """Return an empty ring."""
    return Repeats(size)


def first_ack(id_: str = "a") -> bytes:
    """Return the ack of an accepted move."""
    answer = Answer(Verdict.ACCEPTED, Reason.ACCEPTED, applied=Twist(0.5, 0.0))
    return ack("r1", id_, Verb.MOVE, answer, State.ACTIVE, 7)


def digests(made: Repeats, client: str, id_: str) -> list[bytes]:
    """Return the digests of what was decided under an id."""
    return [one.digest for one in made.find(client, id_)]


def test_a_digest_is_that_of_topic_and_payload() -> None:
    """Sixteen bytes; a byte moved over the border is another command."""
    assert len(ONE) == 16
    assert digest_of("t", b"one") == ONE
    assert len({ONE, TWO, digest_of("u", b"one"), digest_of("to", b"ne"), digest_of("t\0", b"one")}) == 5


def test_a_command_is_found_by_client_and_id() -> None:
    """By both."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)

    assert digests(made, "bob", "a") == [ONE]
    assert made.find("eve", "a") == made.find("bob", "b") == made.find("", "") == []


@pytest.mark.parametrize("had_effect", [True, False])
def test_the_oldest_is_forgotten(had_effect: bool) -> None:
    """And the memory does not grow."""
    made = ring(3)
    for number in range(10):
        made.add("bob", f"c{number}", ONE, had_effect=had_effect)

    assert [number for number in range(10) if made.find("bob", f"c{number}")] == [7, 8, 9]
    assert (len(made._effects), len(made._refusals), len(made._unsettled)) == (3 * had_effect, 3 * (not had_effect), 3)


def test_refusals_do_not_flush_out_what_had_an_effect() -> None:
    """A flood of them costs its sender nothing; what must not happen twice stays known."""
    made = ring(3)
    made.add("bob", "move", ONE, had_effect=True)
    for number in range(100):
        made.add("bob", f"c{number}", TWO, had_effect=False)

    assert digests(made, "bob", "move") == [ONE]


def test_both_decisions_about_an_id_are_found() -> None:
    """The effect first, then the refusal of another body under the same id."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    made.add("bob", "a", TWO, had_effect=False)

    assert digests(made, "bob", "a") == [ONE, TWO]


def test_the_ack_of_a_command_is_kept_in_the_words_of_a_repetition() -> None:
    """Once settled; before, there is none."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    assert [one.ack for one in made.find("bob", "a")] == [None]
    made.settle("a", first_ack())

    said = json.loads(made.find("bob", "a")[0].ack or b"")
    assert (said["verdict"], said["code"], said["first_verdict"]) == ("DUPLICATE", "DUPLICATE", "ACCEPTED")


def test_an_ack_settles_one_command() -> None:
    """The second one of the same id finds nothing, nor does that of an id nobody had."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    made.settle("a", first_ack())
    before = made.find("bob", "a")[0].ack
    made.settle("a", first_ack("b"))
    made.settle("nobody", first_ack())

    assert made.find("bob", "a")[0].ack == before


def test_an_ack_settles_the_newest_command_of_its_id() -> None:
    """Two clients chose the same id: the first one stays without."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    made.add("eve", "a", TWO, had_effect=True)
    made.settle("a", first_ack())

    assert made.find("bob", "a")[0].ack is None
    assert made.find("eve", "a")[0].ack is not None


def test_the_ack_of_what_is_not_kept_is_not_taken_for_that_of_another() -> None:
    """A forgery under the id of a command that waits for its ack."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    made.pass_over("a")
    made.settle("a", first_ack("forged"))
    assert made.find("bob", "a")[0].ack is None

    made.settle("a", first_ack())
    assert made.find("bob", "a")[0].ack is not None


def test_what_is_kept_after_it_settles_as_ever() -> None:
    """A passed over command whose ack never came, then one of the same id that is kept."""
    made = ring()
    made.pass_over("a")
    made.add("bob", "a", ONE, had_effect=True)
    made.settle("a", first_ack())

    assert made.find("bob", "a")[0].ack is not None


def test_an_ack_that_is_none_of_ours_is_a_fault_of_the_caller() -> None:
    """Not of a message."""
    made = ring()
    made.add("bob", "a", ONE, had_effect=True)
    with pytest.raises(ValueError, match="not an ack"):
        made.settle("a", b"{}")
