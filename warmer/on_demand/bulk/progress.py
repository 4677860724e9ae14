"""How far a run is: what was counted, and how fast it goes."""

from collections import deque

from warmer.results import BulkOutcome

MOST_ERRORS = 100

WINDOW_S = 10.0
GRAIN_S = 0.25


class Progress:
    """Counts items; one thread writes, all may read.

    Args:
        total: How many there will be; None if that is not known.
        began_s: When it began, on a monotonic clock.

    Example:
        >>> progress = Progress(total=3, began_s=0.0)
        >>> progress.end("published", items=1, name="square{1}", error=None)
        >>> progress.end("failed", items=1, name="square{2}", error="no such number")
        >>> progress.done, progress.errors
        (2, {'square{2}': 'no such number'})
    """

    def __init__(self, total: int | None, began_s: float) -> None:
        """Start at nothing."""
        self.total = total
        self.asked = self.warmed = self.fresh = self.failed = self.cancelled = self.outstanding = 0
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
            items: How many.
            name: Canonical text of their target.
            error: What went wrong, if anything.
        """
        if result == "published":
            self.warmed += items
        elif result == "fresh":
            self.fresh += items
        else:
            self.failed += items
            if len(self._errors) < MOST_ERRORS:
                self._errors[name] = error or result

    def pass_to(self, now_s: float) -> None:
        """Take note of how much is done by now."""
        self._pace.note(now_s, self.done)

    def stop(self, now_s: float) -> None:
        """Measure the time no further."""
        self._ended_s = now_s

    def duration_s(self, now_s: float) -> float:
        """Return how long it has taken so far, or took in all."""
        return (self._ended_s if self._ended_s is not None else now_s) - self._began_s

    def per_s(self, now_s: float) -> float:
        """Return items per second: of the latest seconds while it runs, of all its time afterwards."""
        if self._ended_s is None:
            return self._pace.per_s(now_s, self.done)
        return self.done / self.duration_s(now_s) if self._ended_s > self._began_s else 0.0

    def eta_s(self, now_s: float) -> float | None:
        """Return how long the rest takes at this pace; None if nobody can know."""
        if self._ended_s is not None:
            return 0.0
        rate = self.per_s(now_s)
        return max(self.total - self.done, 0) / rate if self.total is not None and rate > 0 else None

    def outcome(self, now_s: float) -> BulkOutcome:
        """Return how it stands."""
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
    """How many items end per second, over the latest ten.

    Args:
        began_s: When counting began, on a monotonic clock.

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
        """Remember how much was done by now; a note for each quarter of a second is kept."""
        if now_s - self._notes[-1][0] >= GRAIN_S:
            self._notes.append((now_s, done))
        while len(self._notes) > 1 and self._notes[1][0] <= now_s - WINDOW_S:
            self._notes.popleft()

    def per_s(self, now_s: float, done: int) -> float:
        """Return the pace by now."""
        since_s, before = self._notes[0]
        return max(done - before, 0) / (now_s - since_s) if now_s > since_s else 0.0
