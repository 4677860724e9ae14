"""Counters of the fleet and of each task, and measured durations."""

from collections.abc import Sequence

from warmer.store.control.operations import ControlOperations
from warmer.store.records import Timing
from warmer.store.replies import by_account
from warmer.tasks.switch import Switch


class Statistics(ControlOperations):
    """Counters and durations."""

    def totals(self) -> dict[str, float]:
        """Return the counters of the fleet by name."""
        return {name.decode(): float(value) for name, value in self._client.hgetall(self._keys.totals).items()}

    def accounts(self) -> dict[str, dict[str, float]]:
        """Return the sums of each account by field; the fleet's account is ""."""
        fields = self._client.hgetall(self._keys.accounts)
        return by_account([part for field in fields.items() for part in field])

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the fleet's counters."""
        self._client.hincrby(self._keys.totals, name, by)

    def recent_durations_ms(self) -> list[float]:
        """Return the latest compute times of warming, newest first."""
        return [float(value) for value in self._client.lrange(self._keys.durations, 0, -1)]

    def of_tasks(self, task_ids: Sequence[str]) -> list[dict[str, str]]:
        """Return the counters of these tasks, in order."""
        pipeline = self._client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hgetall(self._keys.stats + task_id)
        return [{name.decode(): value.decode() for name, value in counters.items()} for counters in pipeline.execute()]

    def timings(self, refs: Sequence[str]) -> list[Timing]:
        """Return what is known of how long these targets take, in order."""
        if not refs:
            return []
        switch_json, found = self._scripts.run("timings", *refs)
        switch = Switch.from_json(switch_json)
        return [
            Timing(float(p95_ms or 0) / 1000, float(wait_ms) / 1000, switch)
            for p95_ms, wait_ms in zip(found[::2], found[1::2], strict=True)
        ]
