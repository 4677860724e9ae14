"""Targets that wait for the policy to decide whether a refresh is worth it."""

from collections.abc import Mapping, Sequence

import orjson

from warmer.store.records import DueReview, DueReviews, ReviewDecision
from warmer.store.replies import by_account, fields_of, payer_of
from warmer.store.scripts import Scripts
from warmer.store.targets import TTL_BYTES
from warmer.tasks.switch import Switch


class ReviewQueue:
    """Targets to review, and the decisions.

    Args:
        scripts: Of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys

    def due(self, token: str, limit: int) -> DueReviews:
        """Return what is to be reviewed by now, and what the decisions depend on.

        Args:
            token: Of the scheduler that asks.
            limit: Most targets at once.
        """
        answer = self._scripts.run("due_reviews", token, limit)
        now_ms, switch_json, leads, targets, memory, accounts, totals = answer
        return DueReviews(
            now_ms,
            Switch.from_json(switch_json),
            leads == 1,
            tuple(_reviewed_of(*target) for target in targets),
            fields_of(memory),
            by_account(accounts),
            sum(int(float(total or 0)) for total in totals),
        )

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
            self._scripts.run(
                "decide",
                token,
                orjson.dumps([[*one[:-1], one.decision.hex()] for one in decided]),
                *(part for field in memory.items() for part in field),
            )
        )

    def policy_state(self) -> dict[str, bytes]:
        """Return what the brain remembers, by field."""
        return {name.decode(): value for name, value in self._client.hgetall(self._keys.policy_state).items()}


def _reviewed_of(ref: bytes, planned_ms: bytes, ttl_ms: int, account: bytes, history: bytes) -> DueReview:
    text = ref.decode()
    return DueReview(text, int(float(planned_ms)), ttl_ms / 1000, payer_of(text, account), history[:-TTL_BYTES])
