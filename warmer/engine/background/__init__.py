"""What a process does in the background: one loop, and one file for each duty.

In the order in which a tick calls them: a worker's heartbeat; a watch for an emptied Redis; registering what was
declared (`Registration.register_known`); flushing counted reads; retrying what failed; recording what readers computed.
Duties know nothing of one another.
"""

from warmer.engine.background.epoch_watch import EpochWatch
from warmer.engine.background.loop import Background
from warmer.engine.background.miss_recorder import MissRecorder
from warmer.engine.background.read_flusher import ReadFlusher
from warmer.engine.background.retries import Retries
from warmer.engine.background.worker_heartbeat import WorkerHeartbeat

__all__ = ["Background", "EpochWatch", "MissRecorder", "ReadFlusher", "Retries", "WorkerHeartbeat"]
