"""The fleet's switch, which turns warming on and off, and the epoch, which changes when Redis is emptied."""

import time

from warmer.clock import Clock
from warmer.store.control.operations import ControlOperations
from warmer.store.scripts import Scripts
from warmer.tasks.switch import Switch


class FleetSwitch(ControlOperations):
    """The fleet's switch.

    Args:
        scripts: Scripts of the control server.
        clock: Follows the server's time.
    """

    def __init__(self, scripts: Scripts, clock: Clock) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(scripts)
        self._clock = clock

    def get(self) -> Switch:
        """Return the fleet's switch."""
        return Switch.from_json(self._client.get(self._keys.switch))

    def set(self, switch: Switch) -> bool:
        """Set the fleet's switch; returns False when that changed nothing."""
        return bool(self._scripts.run("set_switch", switch.to_json()))

    def restore(self, switch: Switch) -> None:
        """Set the fleet's switch only if Redis has none."""
        self._client.set(self._keys.switch, switch.to_json(), nx=True)

    def epoch(self) -> tuple[str | None, Switch | None]:
        """Return the epoch, a random text, and the switch; None for what is not there.

        The clock follows the server's time.
        """
        asked_at_s = time.time()
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        pipeline.mget(self._keys.epoch, self._keys.switch)
        (seconds, micros), (epoch, switch) = pipeline.execute()
        self._clock.follow(seconds * 1000 + micros // 1000, asked_at_s, time.time())
        return epoch.decode() if epoch else None, Switch.from_json(switch) if switch else None
