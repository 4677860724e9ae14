"""Progress of a bulk run: counts of items, and their rate."""

from collections import deque

from warmer.results import BulkOutcome

MAX_ERRORS = 100

WINDOW_S = 10.0
GRAIN_S = 0.25


class Progress:
    """Counts of the items of a run; one thread writes, any thread may read.

    Args:
        total: The number of items; None if that is not known.
        began_s: The start of the run, in seconds on a monotonic clock.

    Example:
        >>> progress = Progress(total=3, began_s=0.0)
        >>> progress.end("published", items=1, name="square{1}", error=None)
        >>> progress.end("failed", items=1, name="square{2}", error="no such number")
        >>> progress.done, progress.errors
        (2, {'square{2}': 'no such number'})
    """

    def __init__(self, total: int | None, began_s: float) -> None:
        self.total = total
        self.requested = self.warmed = self.fresh = self.failed = self.cancelled = self.outstanding = 0
        self._errors: dict[str, str] = {}
        self._began_s = began_s
        self._ended_s: float | None = None
        self._pace = Pace(began_s)

    @property
    def done(self) -> int:
        """Items that have ended: warmed, fresh or failed."""
        return self.warmed + self.fresh + self.failed

    @property
    def errors(self) -> dict[str, str]:
        """The first failures, by target."""
        return dict(self._errors)

    def end(self, result: str, items: int, name: str, error: str | None) -> None:
        """Count items that have ended.

        Args:
            result: "published" or "fresh"; anything else is a failure.
            items: Their number.
            name: Canonical text of their target.
            error: The error, if it failed.
        """
        if result == "published":
            self.warmed += items
        elif result == "fresh":
            self.fresh += items
        else:
            self.failed += items
            if len(self._errors) < MAX_ERRORS:
                self._errors[name] = error or result

    def pass_to(self, now_s: float) -> None:
        """Add the present count to the rate."""
        self._pace.note(now_s, self.done)

    def stop(self, now_s: float) -> None:
        """Stop measuring the time."""
        self._ended_s = now_s

    def duration_s(self, now_s: float) -> float:
        """Return the time that the run has taken so far, or took as a whole."""
        return (self._ended_s if self._ended_s is not None else now_s) - self._began_s

    def per_s(self, now_s: float) -> float:
        """Return items per second: over the latest 10 seconds while it runs, then over its whole time."""
        if self._ended_s is None:
            return self._pace.per_s(now_s, self.done)
        return self.done / self.duration_s(now_s) if self._ended_s > self._began_s else 0.0

    def eta_s(self, now_s: float) -> float | None:
        """Return the seconds that the rest takes at this rate; None if that is not known."""
        if self._ended_s is not None:
            return 0.0
        rate = self.per_s(now_s)
        return max(self.total - self.done, 0) / rate if self.total is not None and rate > 0 else None

    def outcome(self, now_s: float) -> BulkOutcome:
        """Return the counts so far."""
        return BulkOutcome(
            total=self.total,
            warmed=self.warmed,
            fresh=self.fresh,
            failed=self.failed,
            cancelled=self.cancelled,
            errors=self.errors,
            duration_s=self.duration_s(now_s),
        )


class Pace:
    """Rate of items over a window of the latest 10 seconds.

    Args:
        began_s: The start of counting, in seconds on a monotonic clock.

    Example:
        >>> pace = Pace(began_s=0.0)
        >>> pace.note(10.0, done=1_000)
        >>> pace.note(20.0, done=1_200)
        >>> pace.per_s(20.0, done=1_200)
        20.0
    """

    def __init__(self, began_s: float) -> None:
        """Start with nothing done."""
        self._notes = deque([(began_s, 0)])

    def note(self, now_s: float, done: int) -> None:
        """Add the count of items done by now; one count for each 0.25 s is kept."""
        if now_s - self._notes[-1][0] >= GRAIN_S:
            self._notes.append((now_s, done))
        while len(self._notes) > 1 and self._notes[1][0] <= now_s - WINDOW_S:
            self._notes.popleft()

    def per_s(self, now_s: float, done: int) -> float:
        """Return items per second, at this time."""
        since_s, before = self._notes[0]
        return max(done - before, 0) / (now_s - since_s) if now_s > since_s else 0.0
