"""Where log lines go, and that nobody ever waits for whoever writes them down."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from edgetwin.journal import Log, open_log

_MANY = 5000


class Slow(logging.Handler):
    """A target that writes nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()
        self.lines: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.let_go.wait(10)
        self.lines.append(record)


@pytest.fixture(name="slow")
def _slow() -> Iterator[tuple[Slow, Log, logging.Logger]]:
    slow = Slow()
    log = Log(slow, to_journal=False)
    logger = logging.Logger("test")  # noqa: LOG001  # of this test alone
    logger.addHandler(log)
    yield slow, log, logger
    slow.let_go.set()
    log.close()


def test_a_target_that_hangs_holds_nobody_up_and_what_is_dropped_is_counted(
    slow: tuple[Slow, Log, logging.Logger],
) -> None:
    """The first thousand are kept, the newest dropped; one line says how many."""
    target, log, logger = slow
    for index in range(_MANY):
        logger.warning("line %d", index, extra={"EVENT": "test", "INDEX": index})
    dropped = log.dropped
    target.let_go.set()
    log.close()

    assert 0 < dropped < _MANY
    said = [record for record in target.lines if record.__dict__["EVENT"] == "log.dropped"]
    assert [record.__dict__["DROPPED"] for record in said] == [dropped]
    assert len(target.lines) == _MANY - dropped + 1


def test_a_line_keeps_its_fields_level_and_thread(slow: tuple[Slow, Log, logging.Logger]) -> None:
    """They are formatted where they are said, and written elsewhere."""
    target, log, logger = slow
    target.let_go.set()
    threading.Thread(
        target=logger.error, name="speaker", args=("lost %d of %s", 3, "odom"), kwargs={"extra": {"EVENT": "ros.lost"}}
    ).start()
    for thread in threading.enumerate():
        if thread.name == "speaker":
            thread.join()
    log.close()

    (record,) = target.lines
    assert record.getMessage() == "lost 3 of odom"
    assert (record.levelno, record.threadName, record.__dict__["EVENT"]) == (logging.ERROR, "speaker", "ros.lost")


def test_the_end_writes_what_waits_but_does_not_wait_for_ever(slow: tuple[Slow, Log, logging.Logger]) -> None:
    """A journal that hangs is no reason not to stop."""
    _, log, logger = slow
    logger.warning("a last word", extra={"EVENT": "test"})

    log.close()  # would hang here: the target is let go only afterwards


def test_without_a_journal_lines_are_text_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """A JOURNAL_STREAM that belongs to somebody else's stderr is not ours."""
    kept = logging.getLogger().level
    log = open_log({"JOURNAL_STREAM": "8:1"})
    logging.getLogger("edgetwin.test").info("running: %d channels", 2, extra={"EVENT": "started"})
    log.close()
    logging.getLogger().setLevel(kept)

    assert capfd.readouterr().err == "INFO running: 2 channels\n"
    assert not log.to_journal


def test_stderr_of_the_journal_is_recognised(capfd: pytest.CaptureFixture[str]) -> None:
    """By device and inode, as systemd.exec(5) says; then systemd's library takes over, where it is installed."""
    status = os.fstat(2)
    kept = logging.getLogger().level
    log = open_log({"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    log.close()
    logging.getLogger().setLevel(kept)

    try:
        importlib.import_module("systemd.journal")
    except ImportError:
        assert not log.to_journal
    else:
        assert log.to_journal
