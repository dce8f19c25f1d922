"""Twin wing: the wall clock of a robot, as seen from here.

In: pings with their answers, `clock` events     Out: when something was measured, on our monotonic clock, and how
wrong that may be
Pure. Both directions of a ping are unknown, their sum is not: half the round trip bounds the error, whatever the way
there and the way back took. Clocks drift, and a clock that is disciplined may be slewed by 500 ppm: bounds grow so.
A step ends an epoch: stamps of before keep the offset of before. Nothing here orders or drops anything.

Source: Cristian's algorithm; RFC 5905 for dispersion that grows with age; adjtimex(2) for the greatest slew.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from edgetwin.clock import NS_PER_US

_SLEW_PPM = 500
_SAMPLES_MAX = 64
_EPOCHS_MAX = 16
_TRUNCATION_NS = NS_PER_US  # the robot tells whole microseconds
_STEP_ERROR_NS = 1_000_000  # how exactly a robot can tell its own step: a second of slew
_FUTURE_NS = 100_000_000
_DRIFT_OVER_NS = 20_000_000_000
_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Robot's wall clock minus our monotonic clock [ns], and the bound of its error [ns]."""

    offset_ns: int
    bound_ns: int


@dataclass(frozen=True, slots=True)
class _Sample:
    middle_ns: int
    offset_ns: int
    error_ns: int

    def bound_ns(self, now_ns: int) -> int:
        return self.error_ns + abs(now_ns - self.middle_ns) * _SLEW_PPM // _PPM


@dataclass(slots=True)
class _Epoch:
    """The time between two steps: one offset that only drifts. `began_ns` is robot time; None: nobody knows.

    All bounds grow alike, so that the tightest sample stays so until a tighter one comes.
    """

    began_ns: int | None = None
    samples: deque[_Sample] = field(default_factory=lambda: deque(maxlen=_SAMPLES_MAX))
    best: _Sample | None = None

    def add(self, sample: _Sample) -> None:
        self.samples.append(sample)
        now_ns = max(known.middle_ns for known in (sample, self.best or sample))
        if self.best is None or sample.bound_ns(now_ns) <= self.best.bound_ns(now_ns):
            self.best = sample

    def at(self, now_ns: int) -> Estimate:
        best = self.best or self.samples[0]
        return Estimate(best.offset_ns, best.bound_ns(now_ns))


class RobotTime:
    """One robot's wall clock.

    Attributes:
        steps: Steps seen, by pings or told by the robot.
        round_trip_ns: Of the newest ping; None before the first.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.round_trip_ns: int | None = None
        self._epochs: deque[_Epoch] = deque(maxlen=_EPOCHS_MAX)

    def ping(self, sent_ns: int, received_ns: int, robot_us: int) -> bool:
        """Take one answered ping; return whether it shows a step.

        Args:
            sent_ns: Our monotonic clock when it left [ns].
            received_ns: The same when the answer came, not earlier [ns].
            robot_us: What the robot's wall clock said in between [us].
        """
        round_trip_ns = max(0, received_ns - sent_ns)
        middle_ns = sent_ns + round_trip_ns // 2
        self.round_trip_ns = round_trip_ns
        robot_ns = robot_us * NS_PER_US + _TRUNCATION_NS // 2
        half_ns = round_trip_ns // 2 + 1
        error_ns = half_ns + half_ns * _SLEW_PPM // _PPM + _TRUNCATION_NS  # it may also be slewed on the way
        sample = _Sample(middle_ns, robot_ns - middle_ns, error_ns)
        stepped = False
        if not self._epochs:
            self._epochs.append(_Epoch())
        elif self._contradicts(sample):
            stepped = True
            self.steps += 1
            self._epochs.append(_Epoch(began_ns=robot_ns - round_trip_ns // 2))
        self._epochs[-1].add(sample)
        return stepped

    def told_step(self, step_us: int, after_us: int, now_ns: int) -> None:
        """Take the robot's own word that its clock has stepped.

        Args:
            step_us: How far; negative: back [us].
            after_us: What its clock said then, after the step [us].
            now_ns: Our monotonic clock when that word came [ns].
        """
        estimate = self.at(now_ns)
        step_ns = step_us * NS_PER_US
        if estimate is None:
            return
        age_ns = now_ns + estimate.offset_ns - after_us * NS_PER_US
        if abs(age_ns) <= abs(age_ns + step_ns):  # a ping has told already
            return
        self.steps += 1
        moved = _Epoch(began_ns=after_us * NS_PER_US)
        moved.add(_Sample(now_ns, estimate.offset_ns + step_ns, estimate.bound_ns + _STEP_ERROR_NS))
        self._epochs.append(moved)

    def forget(self) -> None:
        """Take nothing of before as true: this may be another machine, or the same in another year."""
        self._epochs.clear()

    def at(self, now_ns: int) -> Estimate | None:
        """Return the offset at our `now_ns`; None before the first answer."""
        return self._epochs[-1].at(now_ns) if self._epochs else None

    def local_ns(self, robot_us: int, now_ns: int) -> int | None:
        """Return when the robot's clock said `robot_us`, on our monotonic clock [ns]; None before the first answer.

        A stamp from before a step is taken by the offset of before, as far as it can be told apart.
        """
        if not self._epochs:
            return None
        robot_ns = robot_us * NS_PER_US
        for epoch in reversed(self._epochs):
            estimate = epoch.at(now_ns)
            local_ns = robot_ns - estimate.offset_ns
            slack_ns = estimate.bound_ns + _STEP_ERROR_NS
            after_its_beginning = epoch.began_ns is None or robot_ns >= epoch.began_ns - slack_ns
            if after_its_beginning and local_ns <= now_ns + slack_ns + _FUTURE_NS:
                return local_ns
        return robot_ns - self._epochs[-1].at(now_ns).offset_ns

    def drift_ppm(self) -> tuple[float, float] | None:
        """Return (how much faster the robot's clock runs, bound of the error) [ppm]; None over less than 20 s."""
        samples = self._epochs[-1].samples if self._epochs else ()
        if not samples:
            return None
        half = (samples[0].middle_ns + samples[-1].middle_ns) // 2
        early = min((s for s in samples if s.middle_ns <= half), key=lambda s: s.error_ns)
        later = min((s for s in samples if s.middle_ns >= half), key=lambda s: s.error_ns)
        span_ns = later.middle_ns - early.middle_ns
        if span_ns < _DRIFT_OVER_NS:
            return None
        drift = (later.offset_ns - early.offset_ns) / span_ns * _PPM
        return drift, (later.error_ns + early.error_ns) / span_ns * _PPM

    def _contradicts(self, sample: _Sample) -> bool:
        expected = self._epochs[-1].at(sample.middle_ns)
        return abs(sample.offset_ns - expected.offset_ns) > expected.bound_ns + sample.error_ns
