"""Every key name that warmer uses in Redis, with its type and lifetime; no other file spells one.

Control keys live on one server (standalone or Sentinel). Cache keys may live on another, or on a cluster:
an entry, its lease and its failure share a hash tag, so that one script can touch them.
"""

from dataclasses import dataclass
from typing import NamedTuple


class EntryKeys(NamedTuple):
    """Names of the keys of one entry.

    Args:
        lease: Of the lease that its writer holds.
        entry: Of the entry itself.
        failure: Of the record of the last computation that failed.
    """

    lease: str
    entry: str
    failure: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one namespace.

    Args:
        namespace: The prefix of all of them.

    Example:
        >>> Keys("warmer").entry("catalog:products")
        'warmer:entry:{catalog:products}'
    """

    namespace: str

    # --- control: registry, for as long as tasks are registered --------------------------------------------
    @property
    def epoch(self) -> str:
        """STRING: random; a new one means that Redis was emptied."""
        return f"{self.namespace}:epoch"

    @property
    def switch(self) -> str:
        """STRING: the fleet's switch, as JSON."""
        return f"{self.namespace}:switch"

    @property
    def tasks(self) -> str:
        """ZSET: id of an enabled task -> its priority."""
        return f"{self.namespace}:tasks"

    @property
    def definitions(self) -> str:
        """HASH: task id -> definition, as JSON."""
        return f"{self.namespace}:definitions"

    @property
    def owners(self) -> str:
        """HASH: cache key, or template with nameless fields -> id of the enabled task that owns it."""
        return f"{self.namespace}:owners"

    @property
    def critical(self) -> str:
        """SET: ids of enabled critical tasks with a plain key."""
        return f"{self.namespace}:critical"

    @property
    def tasks_by_fields(self) -> str:
        """Prefix of SETs, fields joined by commas -> ids of enabled tasks whose template has just these fields."""
        return f"{self.namespace}:tasks_by_fields:"

    # --- control: the flow of a refresh ---------------------------------------------------------------------
    @property
    def due(self) -> str:
        """ZSET: ref -> when it is due, in ms."""
        return f"{self.namespace}:due"

    @property
    def reviews(self) -> str:
        """ZSET: ref -> when it is decided whether it is refreshed, in ms; bounded by history_capacity."""
        return f"{self.namespace}:reviews"

    @property
    def scheduled_queue(self) -> str:
        """Prefix of ZSETs, task id -> refs that are due by schedule -> since when, in ms."""
        return f"{self.namespace}:queue:scheduled:"

    @property
    def on_demand_queue(self) -> str:
        """Prefix of ZSETs, task id -> refs requested on demand -> since when, in ms; claimed even if warming is off."""
        return f"{self.namespace}:queue:on_demand:"

    @property
    def task_specs(self) -> str:
        """HASH: id of an enabled task -> what its targets need and who pays for them; see `task_spec_text`."""
        return f"{self.namespace}:task_specs"

    @property
    def fair_queues(self) -> str:
        """SET: names of the fair queues that have any task."""
        return f"{self.namespace}:fair_queues"

    @property
    def fair_queue(self) -> str:
        """Prefix of ZSETs, what is needed -> task id -> its priority and round-robin position; the lowest is next."""
        return f"{self.namespace}:fair_queue:"

    @property
    def oldest(self) -> str:
        """Prefix of ZSETs, what is needed -> task id -> since when its oldest target is ready, in ms."""
        return f"{self.namespace}:oldest:"

    @property
    def queue_counters(self) -> str:
        """HASH: the last round-robin position, how many on-demand targets wait, calls since a starved one."""
        return f"{self.namespace}:queue_counters"

    @property
    def quarantine(self) -> str:
        """HASH: ref or task id that killed its process too often -> since when and why, as JSON."""
        return f"{self.namespace}:quarantine"

    @property
    def crash_suspects(self) -> str:
        """HASH: ref -> processes that died while they computed it; dropped at its next success."""
        return f"{self.namespace}:crash_suspects"

    @property
    def limits(self) -> str:
        """HASH: name of a limit -> the limit, as JSON."""
        return f"{self.namespace}:limits"

    @property
    def token_buckets(self) -> str:
        """HASH: name of a limit -> what is left of its rate, as "tokens|at_ms"."""
        return f"{self.namespace}:token_buckets"

    @property
    def call_slots(self) -> str:
        """HASH: "limit|ref" of a call that holds a slot -> how many of its targets are not completed yet."""
        return f"{self.namespace}:call_slots"

    @property
    def limit_holders(self) -> str:
        """Prefix of ZSETs, name of a limit -> refs that hold its slots -> deadlines of their claims, in ms."""
        return f"{self.namespace}:limit_holders:"

    @property
    def reader_usage(self) -> str:
        """Prefix of HASHes, name of a limit -> process -> how many of its readers compute under it, and until when."""
        return f"{self.namespace}:reader_usage:"

    @property
    def claims(self) -> str:
        """ZSET: ref -> deadline of its claim, in ms."""
        return f"{self.namespace}:claims"

    @property
    def claim_records(self) -> str:
        """HASH: ref -> its claim: token, since when it was ready, on demand or scheduled, limit and slot."""
        return f"{self.namespace}:claim_records"

    @property
    def fresh_ok(self) -> str:
        """SET: refs for which a fresh value is good enough, also one that another process computed."""
        return f"{self.namespace}:fresh_ok"

    @property
    def must_recompute(self) -> str:
        """SET: refs that need a value computed from now on: forced by hand, or a changed definition."""
        return f"{self.namespace}:must_recompute"

    @property
    def rerun(self) -> str:
        """SET: claimed refs that are refreshed once more, because they were requested since the claim."""
        return f"{self.namespace}:rerun"

    @property
    def failures(self) -> str:
        """HASH: ref -> failures in a row; dropped at the next success."""
        return f"{self.namespace}:failures"

    @property
    def watchers(self) -> str:
        """Prefix of SETs, ref -> ids of the watchers of its outcome; for as long as they wait."""
        return f"{self.namespace}:watchers:"

    @property
    def outcomes(self) -> str:
        """Prefix of LISTs, watcher id -> outcomes as JSON; five minutes."""
        return f"{self.namespace}:outcomes:"

    # --- control: reads and statistics ----------------------------------------------------------------------
    @property
    def heat(self) -> str:
        """ZSET: ref -> forward-decayed count of reads; trimmed to the hottest."""
        return f"{self.namespace}:heat"

    @property
    def heat_landmark(self) -> str:
        """STRING: the moment, in ms, to which heat is relative."""
        return f"{self.namespace}:heat:landmark"

    @property
    def history_buckets(self) -> str:
        """Prefix of STRINGs, number of a bucket -> records of a digest of a ref and the history of its reads."""
        return f"{self.namespace}:history:"

    @property
    def history_meta(self) -> str:
        """HASH: how many histories there are, in how many buckets."""
        return f"{self.namespace}:history"

    @property
    def accounts(self) -> str:
        """HASH: "task id|field" -> what reads and refreshes of a task have cost; "|field" for the fleet's account."""
        return f"{self.namespace}:accounts"

    @property
    def policy_state(self) -> str:
        """HASH: what the policy has learnt: the model's weights, the season, the thresholds."""
        return f"{self.namespace}:policy_state"

    @property
    def recording(self) -> str:
        """STRING: which reads are recorded, as "id salt threshold capacity"; expires unless renewed."""
        return f"{self.namespace}:recording"

    @property
    def recorded(self) -> str:
        """Prefix of STREAMs, id of a recording -> rows of a trace not yet taken off; a minute after the last."""
        return f"{self.namespace}:recorded:"

    @property
    def unrecorded(self) -> str:
        """Prefix of STRINGs, id of a recording -> reads that found no room in it; a minute after the last."""
        return f"{self.namespace}:unrecorded:"

    @property
    def flush_numbers(self) -> str:
        """Prefix of STRINGs, reader id -> number of its last flush; one hour."""
        return f"{self.namespace}:flush_numbers:"

    @property
    def unjudged_refreshes(self) -> str:
        """ZSET: "computed_at:ref" of refreshes that are not judged yet -> when they count as wasted, in ms."""
        return f"{self.namespace}:unjudged_refreshes"

    @property
    def totals(self) -> str:
        """HASH: counters of the whole fleet."""
        return f"{self.namespace}:totals"

    @property
    def durations(self) -> str:
        """LIST: the latest compute times of the fleet, in ms."""
        return f"{self.namespace}:durations"

    @property
    def stats(self) -> str:
        """Prefix of HASHes, task id -> its counters; while it is registered."""
        return f"{self.namespace}:stats:"

    @property
    def task_durations(self) -> str:
        """Prefix of LISTs, task id -> its latest compute times, in ms; while it is registered."""
        return f"{self.namespace}:durations:"

    # --- control: processes ----------------------------------------------------------------------------------
    @property
    def workers(self) -> str:
        """ZSET: worker name -> when it was last heard of, in ms."""
        return f"{self.namespace}:workers"

    @property
    def worker_capacities(self) -> str:
        """HASH: worker name -> how many computations of each kind it can run; as long as it is among `workers`."""
        return f"{self.namespace}:workers:capacities"

    @property
    def leader(self) -> str:
        """STRING: token of the scheduler that leads; expires unless renewed."""
        return f"{self.namespace}:leader"

    def unknown_tasks(self, worker: str) -> str:
        """SET: ids of tasks that this worker has met and does not know; one hour."""
        return f"{self.namespace}:unknown_tasks:{worker}"

    @property
    def scheduled_jobs(self) -> str:
        """ZSET: rq-scheduler's own schedule, job id -> next run in seconds."""
        return f"{self.namespace}:scheduler:jobs"

    @property
    def scheduler_instances(self) -> str:
        """Prefix of HASHes: rq-scheduler's own record of its processes."""
        return f"{self.namespace}:scheduler:instance:"

    # --- cache -----------------------------------------------------------------------------------------------
    def of_entry(self, cache_key: str) -> EntryKeys:
        """Names of all that belongs to one entry."""
        namespace, tag = self.namespace, _tag(cache_key)
        return EntryKeys(f"{namespace}:lease:{tag}", f"{namespace}:entry:{tag}", f"{namespace}:failure:{tag}")

    def entry(self, cache_key: str) -> str:
        """STRING: header and value; until it expires."""
        return f"{self.namespace}:entry:{_tag(cache_key)}"

    def lease(self, cache_key: str) -> str:
        """STRING: token of the holder, who may write the entry; expires unless renewed."""
        return f"{self.namespace}:lease:{_tag(cache_key)}"

    def failure(self, cache_key: str) -> str:
        """STRING: when and how the last computation failed, as "ms|JSON"; ten seconds."""
        return f"{self.namespace}:failure:{_tag(cache_key)}"


def _tag(cache_key: str) -> str:
    """Wrap a key as a hash tag; a brace inside would end the tag early and part the entry from its lease."""
    if "}" in cache_key or "%" in cache_key:
        cache_key = cache_key.replace("%", "%25").replace("}", "%7D")
    return "{" + cache_key + "}"
