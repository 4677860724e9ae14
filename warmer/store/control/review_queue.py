"""Queue of targets to review: the policy decides whether a refresh is worth its cost."""

from collections.abc import Mapping, Sequence

import orjson

from warmer.store.control.operations import ControlOperations
from warmer.store.control.targets import TTL_BYTES
from warmer.store.records import DueReview, DueReviews, ReviewDecision
from warmer.store.replies import by_account, fields_of, payer_of
from warmer.tasks.switch import Switch


class ReviewQueue(ControlOperations):
    """Reviews and decisions."""

    def due(self, token: str, limit: int) -> DueReviews:
        """Return the targets that are to be reviewed by now, and what the decisions depend on; changes nothing.

        Args:
            token: Of the scheduler that asks.
            limit: Targets at most.
        """
        answer = self._scripts.run("due_reviews", token, limit)
        now_ms, switch_json, leads, targets, policy_state, accounts, totals = answer
        return DueReviews(
            now_ms,
            Switch.from_json(switch_json),
            leads == 1,
            tuple(_due_review(*target) for target in targets),
            fields_of(policy_state),
            by_account(accounts),
            sum(int(float(total or 0)) for total in totals),
        )

    def decide(self, token: str, decided: Sequence[ReviewDecision], new_state: Mapping[str, bytes]) -> int:
        """Carry out decisions, and save what the policy has learnt.

        Args:
            token: Of the scheduler that leads.
            decided: The decisions.
            new_state: Fields of the policy's state that change.

        Returns:
            How many targets became ready; -1 if another scheduler leads, and nothing was done.
        """
        return int(
            self._scripts.run(
                "decide",
                token,
                orjson.dumps([[*one[:-1], one.decision.hex()] for one in decided]),
                *(part for field in new_state.items() for part in field),
            )
        )

    def policy_state(self) -> dict[str, bytes]:
        """Return what the policy has learnt, by field."""
        return {name.decode(): value for name, value in self._client.hgetall(self._keys.policy_state).items()}


def _due_review(ref: bytes, planned_ms: bytes, ttl_ms: int, account: bytes, history: bytes) -> DueReview:
    text = ref.decode()
    return DueReview(text, int(float(planned_ms)), ttl_ms / 1000, payer_of(text, account), history[:-TTL_BYTES])
