"""Live processes of the fleet: heartbeats of workers, and leadership among schedulers."""

from collections.abc import Sequence

from warmer.settings import Settings
from warmer.store.control.operations import ControlOperations
from warmer.store.records import Capacity
from warmer.store.scripts import Scripts


class Fleet(ControlOperations):
    """Workers and schedulers.

    Args:
        scripts: Scripts of the control server.
        settings: The capacity of a worker of this process, and the interval of heartbeats.
    """

    def __init__(self, scripts: Scripts, settings: Settings) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(scripts)
        self._settings = settings

    def worker_beat(self, name: str) -> None:
        """Record a heartbeat of a worker, and its capacity."""
        seconds, micros = self._client.time()
        settings = self._settings
        capacity = Capacity(settings.concurrency, settings.async_concurrency, settings.isolated_processes)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zadd(self._keys.workers, {name: seconds * 1000 + micros // 1000})
        pipeline.hset(self._keys.worker_capacities, name, " ".join(map(str, capacity)))
        pipeline.execute()

    def worker_gone(self, name: str) -> None:
        """Forget a worker that has stopped."""
        self._forget_workers([name])

    def live_workers(self) -> list[str]:
        """Return the names of workers with a recent heartbeat; forgets the others."""
        oldest_ms = self._oldest_beat_ms()
        self._forget_workers(self._client.zrange(self._keys.workers, "-inf", oldest_ms, byscore=True))
        return [name.decode() for name in self._client.zrange(self._keys.workers, 0, -1)]

    def capacities(self) -> dict[str, Capacity]:
        """Return the capacity of each worker with a recent heartbeat; changes nothing."""
        alive = self._client.zrange(self._keys.workers, f"({self._oldest_beat_ms()}", "+inf", byscore=True)
        found = self._client.hmget(self._keys.worker_capacities, alive) if alive else []
        return {
            name.decode(): Capacity(*map(int, capacity.split())) if capacity else Capacity()
            for name, capacity in zip(alive, found, strict=True)
        }

    def _oldest_beat_ms(self) -> int:
        """Return the oldest heartbeat of a worker that is taken for alive."""
        seconds, _ = self._client.time()
        return int((seconds - max(10.0, 5 * self._settings.flush_s)) * 1000)

    def _forget_workers(self, names: Sequence[str | bytes]) -> None:
        if not names:
            return
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zrem(self._keys.workers, *names)
        pipeline.hdel(self._keys.worker_capacities, *names)
        pipeline.execute()

    def is_first_meeting(self, worker: str, task_id: str) -> bool:
        """Remember that a worker has met a task it does not know; returns True the first time within an hour."""
        key = self._keys.unknown_tasks(worker)
        first = bool(self._client.sadd(key, task_id))
        self._client.expire(key, 3600)
        return first

    def lead(self, token: str, timeout_s: float) -> bool:
        """Acquire or renew the leadership among schedulers; returns False while another one leads."""
        return bool(self._scripts.run("acquire_token", self._keys.leader, token, round(1000 * timeout_s)))

    def resign(self, token: str) -> bool:
        """Give up the leadership; returns False when it was not held with this token."""
        return bool(self._scripts.run("release_token", self._keys.leader, token))

    def has_leader(self) -> bool:
        """Return whether a scheduler leads, and so is alive."""
        return bool(self._client.exists(self._keys.leader))
