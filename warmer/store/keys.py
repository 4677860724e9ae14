"""Every key name that warmer uses in Redis, with its type and lifetime; no other file spells one.

Control keys live on one server (standalone or Sentinel). Cache keys may live on another, or on a cluster:
an entry, its lease and its failure share a hash tag, so that one script can touch them.
"""

from dataclasses import dataclass


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
    def scoped(self) -> str:
        """Prefix of SETs, fields joined by commas -> ids of enabled tasks whose template has just these fields."""
        return f"{self.namespace}:scoped:"

    # --- control: the flow of a refresh ---------------------------------------------------------------------
    @property
    def due(self) -> str:
        """ZSET: ref -> when it is due, in ms."""
        return f"{self.namespace}:due"

    @property
    def ready(self) -> str:
        """ZSET: ref -> priority and due time packed into one score; the lowest is claimed first."""
        return f"{self.namespace}:ready"

    @property
    def claims(self) -> str:
        """ZSET: ref -> deadline of its claim, in ms."""
        return f"{self.namespace}:claims"

    @property
    def tokens(self) -> str:
        """HASH: ref -> owner token of its claim and when it was due, as "token|ms"."""
        return f"{self.namespace}:tokens"

    @property
    def ensure(self) -> str:
        """SET: refs due, ready or claimed for which a fresh value will do, whoever computed it."""
        return f"{self.namespace}:ensure"

    @property
    def forced(self) -> str:
        """SET: refs for which only a value computed from now on will do: forced by hand, or a changed definition."""
        return f"{self.namespace}:forced"

    @property
    def again(self) -> str:
        """SET: claimed refs that are to be refreshed once more, for what was asked since the claim."""
        return f"{self.namespace}:again"

    @property
    def requested(self) -> str:
        """SET: refs asked for by hand; claimed even while warming is off."""
        return f"{self.namespace}:requested"

    @property
    def failures(self) -> str:
        """HASH: ref -> failures in a row; dropped at the next success."""
        return f"{self.namespace}:failures"

    @property
    def watchers(self) -> str:
        """Prefix of SETs, ref -> ids of those who wait for its outcome; an hour at most."""
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
    def landmark(self) -> str:
        """STRING: the moment, in ms, to which heat is relative."""
        return f"{self.namespace}:heat:landmark"

    @property
    def flushes(self) -> str:
        """Prefix of STRINGs, reader id -> number of its last flush; one hour."""
        return f"{self.namespace}:flushes:"

    @property
    def verdicts(self) -> str:
        """ZSET: "computed_at:ref" of refreshes not yet judged -> when they count as wasted, in ms."""
        return f"{self.namespace}:verdicts"

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
    def leader(self) -> str:
        """STRING: token of the scheduler that leads; expires unless renewed."""
        return f"{self.namespace}:leader"

    def unknown(self, worker: str) -> str:
        """SET: task ids that this worker has met and does not know; one hour."""
        return f"{self.namespace}:unknown:{worker}"

    @property
    def scheduled_jobs(self) -> str:
        """ZSET: rq-scheduler's own schedule, job id -> next run in seconds."""
        return f"{self.namespace}:scheduler:jobs"

    @property
    def scheduler_instances(self) -> str:
        """Prefix of HASHes: rq-scheduler's own record of its processes."""
        return f"{self.namespace}:scheduler:instance:"

    # --- cache -----------------------------------------------------------------------------------------------
    def entry(self, cache_key: str) -> str:
        """STRING: header and value; until it expires."""
        return f"{self.namespace}:entry:{_tag(cache_key)}"

    def lease(self, cache_key: str) -> str:
        """STRING: token of the one who may write the entry; expires unless renewed."""
        return f"{self.namespace}:lease:{_tag(cache_key)}"

    def failure(self, cache_key: str) -> str:
        """STRING: when and how the last computation failed, as "ms|JSON"; ten seconds."""
        return f"{self.namespace}:failure:{_tag(cache_key)}"


def _tag(cache_key: str) -> str:
    """Wrap a key as a hash tag; a brace inside would end the tag early and part the entry from its lease."""
    if "}" in cache_key or "%" in cache_key:
        cache_key = cache_key.replace("%", "%25").replace("}", "%7D")
    return "{" + cache_key + "}"
