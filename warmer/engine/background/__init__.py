"""Background duties of a process: one loop, and one file for each duty.

A tick calls them in this order: the worker's heartbeat; the check for an emptied Redis; the registration of declared
tasks (`Registration.register_known`); the flush of counted reads; retries; the record of readers' computations. No duty
uses another one.
"""

from warmer.engine.background.epoch_watch import EpochWatch
from warmer.engine.background.loop import Background
from warmer.engine.background.miss_recorder import MissRecorder
from warmer.engine.background.read_flusher import ReadFlusher
from warmer.engine.background.retries import Retries
from warmer.engine.background.worker_heartbeat import WorkerHeartbeat

__all__ = ["Background", "EpochWatch", "MissRecorder", "ReadFlusher", "Retries", "WorkerHeartbeat"]
