"""All that touches warmer's keys in Redis: one method per operation."""

import math
import time
from collections.abc import Iterable, Sequence
from secrets import token_hex
from typing import Any, Literal

import orjson

from warmer.clock import Clock
from warmer.connect import connect
from warmer.policy import heat_reads_per_s
from warmer.settings import Settings
from warmer.store.entries import Entries
from warmer.store.keys import Keys
from warmer.store.records import Batch, Claim, Hot, Outcome, TickReport
from warmer.store.scripts import Scripts
from warmer.switch import Switch
from warmer.task import WarmingTask
from warmer.wire import Reads, open_reads


class Store:
    """Warmer's control keys in Redis: one method per operation, each atomic; and the cache, as `entries`.

    Args:
        settings: Where Redis is, and the time-outs.
        clock: Follows the server's time.

    Raises:
        SettingsError: no address of Redis is configured, or it cannot be used.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Prepare clients; nothing is sent yet."""
        self.settings = settings
        self.keys = Keys(settings.namespace)
        self.clock = clock
        control_url = settings.required_redis_url()
        cache_url = settings.cache_url or control_url
        self.control = connect(control_url, settings.redis_timeout_s)
        self._on_control = Scripts(self.control, self.keys)
        self.entries = Entries(cache_url, self.keys, settings.redis_timeout_s, settings.lease_timeout_s)
        self.reads: Reads = open_reads(cache_url, settings.read_timeout_s)
        self.readers_entries = Entries(
            cache_url, self.keys, settings.read_timeout_s, settings.lease_timeout_s, self.reads
        )

    def close(self) -> None:
        """Close all connections."""
        for client in (self.control, self.entries, self.readers_entries, self.reads):
            client.close()

    def ping(self) -> None:
        """Ask both servers for a sign of life.

        Raises:
            redis.RedisError: one does not answer.
        """
        self.control.ping()
        self.entries.ping()

    # --- registry --------------------------------------------------------------------------------------------
    def register(self, task: WarmingTask, replace: bool) -> tuple[str, str, str]:
        """Write a task's definition.

        Returns:
            "registered", "changed", "unchanged" or "conflict"; the id of the task it conflicts with, or ""; the epoch.
        """
        status, other, epoch = self._on_control.run(
            "register",
            task.task_id,
            task.definition(),
            int(replace),
            token_hex(8),
        )
        return status.decode(), other.decode(), epoch.decode()

    def unregister(self, task_id: str) -> bool:
        """Forget a task; False when it was not registered."""
        return bool(
            self._on_control.run(
                "unregister",
                task_id,
            )
        )

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Return every registered task's definition by id."""
        found = self.control.hgetall(self.keys.definitions)
        return {task_id.decode(): orjson.loads(text) for task_id, text in found.items()}

    def critical_ids(self) -> list[str]:
        """Return the ids of enabled critical tasks with a plain key, highest priority first."""
        critical = self.control.smembers(self.keys.critical)
        ordered = self.control.zrevrange(self.keys.tasks, 0, -1)
        return [task_id.decode() for task_id in ordered if task_id in critical]

    def scoped_ids(self, fields: Iterable[str]) -> list[str]:
        """Return the ids of enabled tasks whose key template has just these fields."""
        return sorted(
            task_id.decode() for task_id in self.control.smembers(self.keys.scoped + ",".join(sorted(fields)))
        )

    def definitions_of(self, task_ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """Return these tasks' definitions, None for those not registered."""
        if not task_ids:
            return []
        found = self.control.hmget(self.keys.definitions, list(task_ids))
        return [orjson.loads(text) if text else None for text in found]

    # --- switch and epoch ------------------------------------------------------------------------------------
    def switch(self) -> Switch:
        """Return the fleet's switch."""
        return Switch.from_json(self.control.get(self.keys.switch))

    def set_switch(self, switch: Switch) -> bool:
        """Set the fleet's switch; False when it stood so already."""
        return bool(self._on_control.run("set_switch", switch.to_json()))

    def restore_switch(self, switch: Switch) -> None:
        """Set the fleet's switch only if Redis has none."""
        self.control.set(self.keys.switch, switch.to_json(), nx=True)

    def epoch(self) -> tuple[str | None, Switch | None]:
        """Return the random text that changes when Redis is emptied, and the switch, if there are any.

        The clock follows the server's time on the way.
        """
        asked_at_s = time.time()
        pipeline = self.control.pipeline(transaction=False)
        pipeline.time()
        pipeline.mget(self.keys.epoch, self.keys.switch)
        (seconds, micros), (epoch, switch) = pipeline.execute()
        self.clock.follow(seconds * 1000 + micros // 1000, asked_at_s, time.time())
        return epoch.decode() if epoch else None, Switch.from_json(switch) if switch else None

    # --- the flow of a refresh -------------------------------------------------------------------------------
    def tick(self, limit: int = 1000) -> TickReport:
        """Move what is due to ready, and lapsed claims too; judge refreshes that nobody used."""
        moved, lapsed, wasted, ready, more = self._on_control.run(
            "tick",
            limit,
        )
        return TickReport(moved, lapsed, wasted, ready, bool(more))

    def reconcile(self) -> int:
        """Make critical targets that are nowhere due now; returns how many."""
        repaired: int = self._on_control.run("reconcile")
        return repaired

    def claim(self, count: int, unknown_ids: Iterable[str] = (), only: Sequence[str] | None = None) -> Batch:
        """Claim the best ready targets, leaving those of unknown tasks to others.

        Args:
            count: At most how many; up to 500 keep Redis responsive.
            unknown_ids: Ids of tasks that the caller cannot compute.
            only: The refs that may be claimed; all when not given.
        """
        token = token_hex(16)
        now_ms, switch, wait_ms, claims = self._on_control.run(
            "claim",
            count,
            _ms(self.settings.claim_timeout_s),
            token,
            _ms(self.settings.heat_half_life_s),
            "" if only is None else orjson.dumps(only),
            *unknown_ids,
        )
        return Batch(
            token,
            now_ms,
            Switch.from_json(switch),
            wait_ms / 1000,
            tuple(self._claim_of(*claim) for claim in claims),
        )

    def _claim_of(
        self,
        ref: bytes,
        due_ms: int,
        ensure: int,
        failures: int,
        heat: bytes,
        p95_ms: bytes,
        definition: bytes,
    ) -> Claim:
        reads_per_s = heat_reads_per_s(float(heat), self.settings.heat_half_life_s)
        return Claim(ref.decode(), due_ms, bool(ensure), failures, reads_per_s, float(p95_ms or 0) / 1000, definition)

    def renew_claims(self, token: str, refs: Sequence[str]) -> list[str]:
        """Extend claims held with this token; returns the refs of those that are lost."""
        lost = self._on_control.run(
            "renew_claims",
            token,
            _ms(self.settings.claim_timeout_s),
            *refs,
        )
        return [ref.decode() for ref in lost]

    def give_back(self, ref: str, token: str) -> bool:
        """Put a claimed target back for others; False when the claim was no longer held."""
        return bool(self._on_control.run("give_back", ref, token))

    def complete(self, outcome: Outcome, token: str, due: tuple[Literal["at", "in", "never"], int]) -> bool:
        """End a refresh: drop its claim, count it, plan the next one, tell those who wait.

        Args:
            outcome: How it ended.
            token: The claim's token; "" for a reader that computed a miss without a claim.
            due: When the target is due next: "at" ms since the epoch, "in" ms from now, or "never".

        Returns:
            False when another holds the claim by now; then nothing was changed.
        """
        verdict = "" if outcome.verdict_ms is None else f"{outcome.verdict_ms}:{outcome.ref}"
        report = {
            "ref": outcome.ref,
            "result": outcome.result.value,
            "duration_ms": outcome.duration_ms,
            "error": outcome.error,
        }
        return bool(
            self._on_control.run(
                "complete",
                outcome.ref,
                token,
                outcome.result.value,
                outcome.origin,
                outcome.computed_at_ms,
                due[0],
                due[1],
                f"{outcome.duration_ms:.3f}",
                outcome.error,
                verdict,
                outcome.wasted_at_ms,
                orjson.dumps(report),
            )
        )

    def request(self, refs: Sequence[str], *, force: bool, watcher: str = "", watch_s: float = 1.0) -> list[str]:
        """Ask for targets to be warmed now; returns for each "asked", "disabled" or "unknown".

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
            watcher: Id under which `next_outcome` will be asked for the outcomes; "" if nobody waits.
            watch_s: For how long it will be asked.
        """
        if not refs:
            return []
        answers = self._on_control.run(
            "request",
            "force" if force else "ensure",
            watcher,
            math.ceil(watch_s),
            *refs,
        )
        return [answer.decode() for answer in answers]

    def next_outcome(self, watcher: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the next outcome of what this watcher asked for, if there is one within the time; 0 does not wait."""
        key = self.keys.outcomes + watcher
        if timeout_s <= 0:
            outcome = self.control.lpop(key)
        else:
            found = self.control.blpop([key], timeout=min(timeout_s, self.settings.redis_timeout_s / 2))
            outcome = found[1] if found else None
        return orjson.loads(outcome) if outcome else None

    def reschedule(self, ref: str, due_ms: int | None, *, forward_only: bool = False) -> bool:
        """Move an idle target's due time, or let it lapse; False when that changed nothing."""
        return bool(
            self._on_control.run(
                "reschedule",
                ref,
                "" if due_ms is None else due_ms,
                int(forward_only),
            )
        )

    # --- reads -----------------------------------------------------------------------------------------------
    def flush(self, reader: str, number: int, reads: Sequence[tuple[str, str, int, int, list[int], int]]) -> bool:
        """Take in a batch of counted reads; one that is sent twice counts once.

        Args:
            reader: Id of the sending process.
            number: Number of this batch, counting up.
            reads: For each target its ref ("" where only the key is known), cache key, hits, misses, the
                `computed_at` of warm values whose read was useful, and how many of the hits were stale.
        """
        return bool(
            self._on_control.run(
                "flush",
                number,
                _ms(self.settings.heat_half_life_s),
                self.settings.heat_capacity,
                orjson.dumps(reads),
                last_flush=self.keys.flushes + reader,
            )
        )

    def hottest(self, count: int) -> tuple[int, list[Hot]]:
        """Return the server's time in ms, and the targets that are read most."""
        now_ms, found = self._on_control.run(
            "hottest",
            count,
            _ms(self.settings.heat_half_life_s),
        )
        return now_ms, [self._hot_of(*target) for target in found]

    def _hot_of(self, ref: bytes, heat: bytes, standing: bytes) -> Hot:
        reads_per_s = heat_reads_per_s(float(heat), self.settings.heat_half_life_s)
        if standing == b"busy":
            return Hot(ref.decode(), reads_per_s, "busy")
        return Hot(ref.decode(), reads_per_s, int(float(standing)) if standing else None)

    def demand(self, ref: str) -> tuple[float, float, float, Switch]:
        """Return a target's reads per second, its task's compute p95 and the queue wait in seconds, and the switch."""
        heat, p95_ms, wait_ms, switch = self._on_control.run(
            "demand",
            ref,
            _ms(self.settings.heat_half_life_s),
        )
        reads_per_s = heat_reads_per_s(float(heat), self.settings.heat_half_life_s)
        return reads_per_s, float(p95_ms or 0) / 1000, float(wait_ms) / 1000, Switch.from_json(switch)

    # --- statistics ------------------------------------------------------------------------------------------
    def totals(self) -> dict[str, float]:
        """Return the counters of the whole fleet."""
        return {name.decode(): float(value) for name, value in self.control.hgetall(self.keys.totals).items()}

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the fleet's counters."""
        self.control.hincrby(self.keys.totals, name, by)

    def recent_durations_ms(self) -> list[float]:
        """Return the latest compute times of warming, newest first."""
        return [float(value) for value in self.control.lrange(self.keys.durations, 0, -1)]

    def task_stats(self, task_ids: Sequence[str]) -> list[tuple[dict[str, str], int | None]]:
        """Return each task's counters, and when its plain target is due in ms (now, if it is ready or claimed)."""
        pipeline = self.control.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hgetall(self.keys.stats + task_id)
            pipeline.zscore(self.keys.due, task_id)
            pipeline.zscore(self.keys.ready, task_id)
            pipeline.zscore(self.keys.claims, task_id)
        answers = pipeline.execute()
        now_ms = self.clock.now_ms()
        return [
            (
                {name.decode(): value.decode() for name, value in counters.items()},
                now_ms if ready is not None or claimed is not None else int(due) if due is not None else None,
            )
            for counters, due, ready, claimed in zip(*(answers[n::4] for n in range(4)), strict=True)
        ]

    def backlog(self) -> int:
        """Return how many targets wait for a worker."""
        return int(self.control.zcard(self.keys.ready))

    # --- processes -------------------------------------------------------------------------------------------
    def worker_beat(self, name: str) -> None:
        """Say that a worker lives."""
        seconds, micros = self.control.time()
        self.control.zadd(self.keys.workers, {name: seconds * 1000 + micros // 1000})

    def worker_gone(self, name: str) -> None:
        """Say that a worker has stopped."""
        self.control.zrem(self.keys.workers, name)

    def live_workers(self) -> list[str]:
        """Return the names of workers heard of lately; forgets those that were not."""
        seconds, _ = self.control.time()
        oldest_ms = int((seconds - max(10.0, 5 * self.settings.flush_s)) * 1000)
        self.control.zremrangebyscore(self.keys.workers, "-inf", oldest_ms)
        return [name.decode() for name in self.control.zrange(self.keys.workers, 0, -1)]

    def is_first_meeting(self, worker: str, task_id: str) -> bool:
        """Remember that this worker has met a task it does not know; True the first time."""
        key = self.keys.unknown(worker)
        first = bool(self.control.sadd(key, task_id))
        self.control.expire(key, 3600)
        return first

    def lead(self, token: str, timeout_s: float) -> bool:
        """Take or renew the leadership among schedulers; False while another leads."""
        return bool(self._on_control.run("lead", token, _ms(timeout_s)))

    def resign(self, token: str) -> bool:
        """Give the leadership up; False when it was not held with this token."""
        return bool(self._on_control.run("release", token, held=self.keys.leader))

    def has_leader(self) -> bool:
        """Say whether a scheduler is alive."""
        return bool(self.control.exists(self.keys.leader))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
