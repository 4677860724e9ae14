"""Records of one refresh, before it: the request of a reader or a worker, and the same request under a lease."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from warmer.codec.entry import Header, Origin
from warmer.errors import InvalidTaskError
from warmer.refresh.cache_options import CacheOptions
from warmer.store import Claim
from warmer.tasks.target import Target
from warmer.tasks.task import WarmingTask


class CacheRequest(NamedTuple):
    """One value: where it is cached, and how it is computed.

    Args:
        cache_key: Where it is cached.
        ref: Canonical text of its target; "" for a key without a task.
        find_options: Returns how it is cached; called only when that matters, which it does not for most hits.
        function: Computes it.
        arguments: The function's keyword arguments.
        target: Its target; None for a key without a task.
        takes_plain: Whether a value that was stored as plain JSON is one; not where the annotation says more.
    """

    cache_key: str
    ref: str
    find_options: Callable[[], CacheOptions]
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    target: Target | None = None
    takes_plain: bool = True

    def is_in(self, header: Header) -> bool:
        """Whether an entry is this target's; one written or read by key alone belongs to every target of the key."""
        if not header.ref or not self.ref or header.ref == self.ref.encode():
            return True
        target = self.target
        if target is None or header.task_id != target.task.task_id.encode():
            return False
        try:
            return target.task.target_of_ref(header.ref.decode()).identity == target.identity
        except (InvalidTaskError, ValueError):  # of another version of the task
            return False


class LeasedWork(NamedTuple):
    """A request whose lease is held: it has to be computed and published, or the lease given back.

    Args:
        request: The value to compute.
        options: How it is cached.
        token: Token of the lease, and of the claim if there is one.
        origin: Who computes it.
        leased_at_ms: The server's time when the lease was taken: the value's age counts from here.
        present: Header of the entry that is there, if it is the same target's.
        claim: The worker's claim; None for readers and for refreshes by hand.
    """

    request: CacheRequest
    options: CacheOptions
    token: str
    origin: Origin
    leased_at_ms: int
    present: Header | None = None
    claim: Claim | None = None

    @property
    def ref(self) -> str:
        """Canonical text of the target."""
        return self.request.ref

    @property
    def task(self) -> WarmingTask:
        """The target's task; all work has one but that of a key without a task."""
        return cast(Target, self.request.target).task


def leases_of(works: Iterable[LeasedWork]) -> list[tuple[str, str]]:
    """Return the leases of works as the store takes them: key and token of each."""
    return [(work.request.cache_key, work.token) for work in works]
