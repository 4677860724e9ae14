"""All that touches warmer's keys in Redis: one method per operation."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from secrets import token_hex
from typing import Any, Literal, TypeVar

import orjson

from warmer.clock import Clock
from warmer.connect import connect
from warmer.policy import heat_reads_per_s
from warmer.settings import Settings
from warmer.store.entries import Entries
from warmer.store.keys import Keys
from warmer.store.recordings import Recordings
from warmer.store.records import (
    Capacity,
    Claim,
    ClaimBatch,
    Completed,
    DueReview,
    DueReviews,
    Hot,
    KeyReads,
    Outcome,
    Quarantined,
    ReviewDecision,
    TargetState,
    TargetStates,
    TickReport,
    Timing,
)
from warmer.store.scripts import Scripts
from warmer.store.task_spec import task_spec_text
from warmer.tasks.switch import Switch
from warmer.tasks.task import WarmingTask
from warmer.wire import Reader, open_reader

Thing = TypeVar("Thing")

AT_ONCE = 500
"""Targets in one script: more would keep Redis from answering others."""

TTL_BYTES = 1
"""Beside each history stands its target's ttl, so that scripts can tell how much it has cooled down."""

ENOUGH_READY = 1000
"""Up to how many ready targets a tick counts: it wants to know how many workers could be busy."""


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
        self.recordings = Recordings(self.control, self._on_control, self.keys)
        self.entries = Entries(cache_url, self.keys, settings.redis_timeout_s, settings.lease_timeout_s)
        self.reads: Reader = open_reader(cache_url, settings.read_timeout_s)
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
            task_spec_text(task),
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

    def lanes(self) -> dict[str, str]:
        """Return what the scripts know of each enabled task; `lane_in` reads it."""
        return {task_id.decode(): text.decode() for task_id, text in self.control.hgetall(self.keys.lanes).items()}

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
            "tick", self.settings.history_capacity, limit, ENOUGH_READY
        )
        return TickReport(moved, lapsed, wasted, ready, bool(more))

    def reconcile(self) -> int:
        """Make critical targets that are nowhere due now; returns how many."""
        repaired: int = 0
        cursor: bytes = b"0"
        while True:
            found, cursor = self._on_control.run("reconcile", cursor, 500)
            repaired += found
            if cursor == b"0":
                return repaired

    def claim(
        self,
        places: Capacity,
        unknown_ids: Iterable[str] = (),
        *,
        only: Sequence[str] | None = None,
        life: str = "",
        waits: bool = True,
    ) -> ClaimBatch:
        """Claim the best ready targets, leaving those of unknown tasks to others.

        Args:
            places: How many computations may begin; up to 500 keep Redis responsive.
            unknown_ids: Ids of tasks that the caller cannot compute.
            only: The refs that may be claimed, best first; all when not given.
            life: What the token begins with, so that `lapse` finds the claims of a process that died.
            waits: Whether a batch that is not full may wait for more.
        """
        token = life + token_hex(16)
        answer = orjson.loads(
            self._on_control.run(
                "claim",
                *places,
                _ms(self.settings.claim_timeout_s),
                token,
                _ms(self.settings.starvation_s),
                int(waits),
                "" if only is None else orjson.dumps(only),
                *unknown_ids,
            )
        )
        known = {
            task_id: (float(p95_ms or 0) / 1000, wait_ms / 1000, definition)
            for task_id, (definition, p95_ms, wait_ms) in dict(answer["tasks"] or {}).items()
        }
        claims = tuple(
            Claim(ref, int(due_ms), ensure == 1, int(failures), int(deaths), *known[ref.partition("{")[0]])
            for ref, due_ms, ensure, failures, deaths in answer["claims"] or ()
        )
        switch = Switch.from_json(answer["switch"].encode())
        return ClaimBatch(token, int(answer["now"]), switch, int(answer["held"]), claims)

    def renew_claims(self, token: str, refs: Sequence[str]) -> list[str]:
        """Extend claims held with this token; returns the refs of those that are lost."""
        timeout_ms, run = _ms(self.settings.claim_timeout_s), self._on_control.run
        return [ref.decode() for part in _parts(refs) for ref in run("renew_claims", token, timeout_ms, *part)]

    def give_back(self, refs: Sequence[str], token: str) -> int:
        """Put claimed targets back for others; returns how many of the claims were still held."""
        return sum(int(self._on_control.run("give_back", token, *part)) for part in _parts(refs))

    def lapse(self, life: str) -> list[str]:
        """End the claims of a process that died: their targets are ready again, and suspects of having killed it.

        Args:
            life: What the tokens of its claims begin with; of "" nothing lapses.

        Returns:
            The refs of the targets.
        """
        return [ref.decode() for ref in self._on_control.run("lapse", life)]

    def complete(self, outcomes: Sequence[Outcome]) -> Completed:
        """End refreshes: drop their claims, count them, plan the next ones, tell those who wait.

        Args:
            outcomes: How they ended; no target stands twice among them.
        """
        lost: list[str] = []
        quarantined: list[str] = []
        for part in _parts(outcomes):
            of_part = self._complete(part)
            lost += of_part.lost
            quarantined += of_part.quarantined
        return Completed(tuple(lost), tuple(quarantined))

    def _complete(self, outcomes: Sequence[Outcome]) -> Completed:
        done = [
            (
                outcome.ref,
                outcome.token,
                outcome.result.value,
                outcome.origin,
                outcome.computed_at_ms,
                outcome.due_kind,
                outcome.due_ms,
                round(outcome.duration_ms, 3),
                outcome.error,
                "" if outcome.verdict_ms is None else f"{outcome.verdict_ms}:{outcome.ref}",
                outcome.wasted_at_ms,
                outcome.fresh_until_ms,
            )
            for outcome in outcomes
        ]
        lost, quarantined = self._on_control.run("complete", self.settings.history_capacity, orjson.dumps(done))
        return Completed(tuple(ref.decode() for ref in lost), tuple(name.decode() for name in quarantined))

    def request(self, refs: Sequence[str], *, force: bool, watcher: str = "", watch_s: float = 1.0) -> list[str]:
        """Ask for targets to be warmed now.

        Args:
            refs: Canonical texts of the targets.
            force: Whether to compute even if the present value is fresh.
            watcher: Id under which `next_outcome` will be asked for the outcomes; "" if nobody waits.
            watch_s: For how long it will be asked.

        Returns:
            For each "asked", "disabled", "unknown", "quarantined", or "full" when too many wait already.
        """
        if not refs:
            return []
        mode = "force" if force else "ensure"
        capacity = self.settings.backlog_capacity
        answers = self._on_control.run("request", mode, watcher, math.ceil(watch_s), capacity, *refs)
        return [answer.decode() for answer in answers]

    def withdraw(self, refs: Sequence[str], watcher: str) -> list[str]:
        """Take back what this watcher alone has asked for; returns what somebody has begun, whose outcome is told."""
        return [ref.decode() for ref in self._on_control.run("withdraw", watcher, *refs)] if refs else []

    # --- limits ------------------------------------------------------------------------------------------------
    def declare_limits(self, limits: Mapping[str, bytes]) -> None:
        """Say what limits there are, each by its name as JSON; those of the latest process hold."""
        if limits:
            self.control.hset(self.keys.limits, mapping=dict(limits))

    def declared_limits(self) -> set[str]:
        """Return the names of the limits that any process has declared."""
        return {name.decode() for name in self.control.hkeys(self.keys.limits)}

    def guests(self, process: str, timeout_ms: int, reports: Sequence[str | int]) -> object:
        """Take in what the readers of a process compute under limits; see `warmer.refresh.reader_usage`."""
        return self._on_control.run("guests", process, timeout_ms, *reports)

    def next_outcomes(self, watcher: str, most: int, timeout_s: float) -> list[dict[str, Any]]:
        """Return the next outcomes of what this watcher asked for; waits for the first one up to the time."""
        first = self.next_outcome(watcher, timeout_s)
        if first is None:
            return []
        more = self.control.lpop(self.keys.outcomes + watcher, most - 1) if most > 1 else None
        return [first, *map(orjson.loads, more or ())]

    def next_outcome(self, watcher: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the next outcome of what this watcher asked for, if there is one within the time; 0 does not wait."""
        key = self.keys.outcomes + watcher
        if timeout_s <= 0:
            outcome = self.control.lpop(key)
        else:
            found = self.control.blpop([key], timeout=min(timeout_s, self.settings.redis_timeout_s / 2))
            outcome = found[1] if found else None
        return orjson.loads(outcome) if outcome else None

    def reschedule(
        self,
        ref: str,
        at_ms: int | None,
        *,
        forward_only: bool = False,
        where: Literal["due", "reviews"] = "due",
    ) -> bool:
        """Move the moment at which an idle target is due, or is reviewed; False when that changed nothing.

        Args:
            ref: Canonical text of the target.
            at_ms: That moment; None to let it lapse.
            forward_only: Whether to leave it at an earlier one.
            where: Whether it is refreshed then, or reviewed.
        """
        moment = "" if at_ms is None else at_ms
        return bool(self._on_control.run("reschedule", ref, moment, int(forward_only), where))

    # --- reads -----------------------------------------------------------------------------------------------
    def flush(self, reader: str, number: int, reads: Sequence[KeyReads]) -> bool:
        """Take in a batch of counted reads; one that is sent twice counts once.

        Args:
            reader: Id of the sending process.
            number: Number of this batch, counting up.
            reads: For each target its ref ("" where only the key is known), cache key, hits, misses, the
                `computed_at` of warm values whose read was useful, how many of the hits were stale, and when the first
                and the last read were, in ms; 0 for now.
        """
        return bool(
            self._on_control.run(
                "flush",
                number,
                _ms(self.settings.heat_half_life_s),
                self.settings.heat_capacity,
                self.settings.history_capacity,
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
        half_life_s = self.settings.heat_half_life_s
        return now_ms, [Hot(ref.decode(), heat_reads_per_s(float(heat), half_life_s)) for ref, heat in found]

    def timings(self, refs: Sequence[str]) -> list[Timing]:
        """Return what is known of how long targets take."""
        if not refs:
            return []
        switch_json, found = self._on_control.run("timings", *refs)
        switch = Switch.from_json(switch_json)
        return [
            Timing(float(p95_ms or 0) / 1000, float(wait_ms) / 1000, switch)
            for p95_ms, wait_ms in zip(found[::2], found[1::2], strict=True)
        ]

    # --- reviews ---------------------------------------------------------------------------------------------
    def agenda(self, token: str, limit: int) -> DueReviews:
        """Return what is to be reviewed by now, and what the decisions depend on.

        Args:
            token: Of the scheduler that asks.
            limit: Most targets at once.
        """
        answer = self._on_control.run("review", token, limit, self.settings.history_capacity)
        now_ms, switch_json, leads, targets, memory, accounts, totals = answer
        return DueReviews(
            now_ms,
            Switch.from_json(switch_json),
            leads == 1,
            tuple(_reviewed_of(*target) for target in targets),
            _fields(memory),
            _by_account(accounts),
            sum(int(float(total or 0)) for total in totals),
        )

    def look(self, refs: Sequence[str]) -> TargetStates:
        """Return where targets stand, and what is remembered of them."""
        targets: list[TargetState] = []
        for part in _parts(refs) if refs else [()]:
            answer = self._on_control.run("look", self.settings.history_capacity, *part)
            now_ms, switch_json, memory, found = answer
            targets += [_standing_of(ref, *target) for ref, target in zip(part, found, strict=True)]
        return TargetStates(now_ms, Switch.from_json(switch_json), _fields(memory), tuple(targets))

    def decide(self, token: str, decided: Sequence[ReviewDecision], memory: Mapping[str, bytes]) -> int:
        """Carry decisions out, and keep what was learnt.

        Args:
            token: Of the scheduler that leads.
            decided: What was decided.
            memory: What the brain remembers from now on, by field; other fields stay.

        Returns:
            How many targets are ready now; -1 if another leads, and nothing was done.
        """
        return int(
            self._on_control.run(
                "reviewed",
                token,
                self.settings.history_capacity,
                orjson.dumps([[*one[:-1], one.decision.hex()] for one in decided]),
                *(part for field in memory.items() for part in field),
            )
        )

    # --- quarantine ------------------------------------------------------------------------------------------
    def quarantined(self) -> list[Quarantined]:
        """Return what is computed no more, because it killed its processes; the latest first."""
        found = self.control.hgetall(self.keys.quarantine)
        records = [Quarantined(name.decode(), **orjson.loads(text)) for name, text in found.items()]
        return sorted(records, key=lambda record: -record.since_ms)

    def release_quarantined(self, name: str) -> list[str]:
        """Let a task, with all its targets, or one target be computed again; returns what had been quarantined."""
        return [released.decode() for released in self._on_control.run("release_quarantined", name)]

    # --- statistics ------------------------------------------------------------------------------------------
    def totals(self) -> dict[str, float]:
        """Return the counters of the whole fleet."""
        return {name.decode(): float(value) for name, value in self.control.hgetall(self.keys.totals).items()}

    def accounts(self) -> dict[str, dict[str, float]]:
        """Return what reads and refreshes have cost by account, "" for the fleet's, and by what."""
        fields = self.control.hgetall(self.keys.accounts)
        return _by_account([part for field in fields.items() for part in field])

    def memory(self) -> dict[str, bytes]:
        """Return what the brain remembers, by field."""
        return {name.decode(): value for name, value in self.control.hgetall(self.keys.brain).items()}

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the fleet's counters."""
        self.control.hincrby(self.keys.totals, name, by)

    def recent_durations_ms(self) -> list[float]:
        """Return the latest compute times of warming, newest first."""
        return [float(value) for value in self.control.lrange(self.keys.durations, 0, -1)]

    def task_stats(self, task_ids: Sequence[str]) -> list[dict[str, str]]:
        """Return each task's counters."""
        pipeline = self.control.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hgetall(self.keys.stats + task_id)
        return [{name.decode(): value.decode() for name, value in counters.items()} for counters in pipeline.execute()]

    def backlog(self) -> int:
        """Return how many targets wait for a worker."""
        return int(self._on_control.run("backlog"))

    # --- processes -------------------------------------------------------------------------------------------
    def worker_beat(self, name: str) -> None:
        """Say that a worker lives, and how much it can do at once."""
        seconds, micros = self.control.time()
        settings = self.settings
        places = Capacity(settings.concurrency, settings.async_concurrency, settings.isolated_processes)
        pipeline = self.control.pipeline(transaction=False)
        pipeline.zadd(self.keys.workers, {name: seconds * 1000 + micros // 1000})
        pipeline.hset(self.keys.places, name, " ".join(map(str, places)))
        pipeline.execute()

    def worker_gone(self, name: str) -> None:
        """Say that a worker has stopped."""
        self._forget_workers([name])

    def live_workers(self) -> list[str]:
        """Return the names of workers heard of lately; forgets those that were not."""
        oldest_ms = self._oldest_beat_ms()
        self._forget_workers(self.control.zrange(self.keys.workers, "-inf", oldest_ms, byscore=True))
        return [name.decode() for name in self.control.zrange(self.keys.workers, 0, -1)]

    def places_of_workers(self) -> dict[str, Capacity]:
        """Return how many computations each worker heard of lately has room for; changes nothing."""
        alive = self.control.zrange(self.keys.workers, f"({self._oldest_beat_ms()}", "+inf", byscore=True)
        found = self.control.hmget(self.keys.places, alive) if alive else []
        return {
            name.decode(): Capacity(*map(int, places.split())) if places else Capacity()
            for name, places in zip(alive, found, strict=True)
        }

    def _oldest_beat_ms(self) -> int:
        """Return since when a worker that was not heard of is taken for dead."""
        seconds, _ = self.control.time()
        return int((seconds - max(10.0, 5 * self.settings.flush_s)) * 1000)

    def _forget_workers(self, names: Sequence[str | bytes]) -> None:
        if not names:
            return
        pipeline = self.control.pipeline(transaction=False)
        pipeline.zrem(self.keys.workers, *names)
        pipeline.hdel(self.keys.places, *names)
        pipeline.execute()

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


def _reviewed_of(ref: bytes, planned_ms: bytes, ttl_ms: int, account: bytes, history: bytes) -> DueReview:
    text = ref.decode()
    return DueReview(text, int(float(planned_ms)), ttl_ms / 1000, _payer(text, account), history[:-TTL_BYTES])


def _standing_of(
    ref: str, place: bytes, at_ms: bytes, ttl_ms: int, account: bytes, p95_ms: bytes, wait_ms: bytes, history: bytes
) -> TargetState:
    return TargetState(
        ref,
        place.decode(),  # type: ignore[arg-type]  # the script says nothing else
        int(float(at_ms)),
        ttl_ms / 1000,
        _payer(ref, account),
        float(p95_ms or 0) / 1000,
        float(wait_ms or 0) / 1000,
        history[:-TTL_BYTES],
    )


def _payer(ref: str, account: bytes) -> str | None:
    return {b"t": ref.partition("{")[0], b"f": ""}.get(account)


def _fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _by_account(fields: Sequence[bytes]) -> dict[str, dict[str, float]]:
    accounts: dict[str, dict[str, float]] = {}
    for name, value in zip(fields[::2], fields[1::2], strict=True):
        account, _, what = name.decode().rpartition("|")
        accounts.setdefault(account, {})[what] = float(value)
    return accounts


def _parts(things: Sequence[Thing]) -> Iterator[Sequence[Thing]]:
    """Yield them in parts that one script takes without holding Redis up."""
    for first in range(0, len(things), AT_ONCE):
        yield things[first : first + AT_ONCE]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
