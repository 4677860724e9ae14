"""What a simulation has found: one row for each trace, ttl, policy and amount of extra compute."""

from typing import Any, NamedTuple

from warmer.simulation.replayed import Replayed


class Finding(NamedTuple):
    """One policy on one trace.

    Args:
        trace: The trace's name.
        ttl_s: How long values were fresh, in seconds.
        policy: The policy's name.
        extra_compute: What it was told to spend beyond a plain cache, such as 0.25; None for a policy that takes no
            orders.
        replayed: What it did.
    """

    trace: str
    ttl_s: float
    policy: str
    extra_compute: float | None
    replayed: Replayed

    def as_json(self) -> dict[str, Any]:
        """Return the row as `warmer simulate --json` prints it; ratios have six decimals."""
        replayed = self.replayed
        ratios = {
            "miss_ratio": replayed.miss_ratio,
            "plain_miss_ratio": replayed.plain_miss_ratio,
            "compulsory_ratio": replayed.compulsory_ratio,
            "compute_ratio": replayed.compute_ratio,
            "compute_s_ratio": replayed.compute_s_ratio,
            "removed": replayed.removed,
            "wasted_ratio": replayed.wasted_ratio,
        }
        return {
            "trace": self.trace,
            "ttl_s": self.ttl_s,
            "policy": self.policy,
            "extra_compute": self.extra_compute,
            **{name: None if ratio is None else round(ratio, 6) for name, ratio in ratios.items()},
            "reads": round(replayed.reads),
            "peak_concurrency": round(replayed.peak_concurrency),
        }
