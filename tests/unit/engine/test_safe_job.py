"""Whoever can write to Redis cannot make a worker run or import anything."""

import json
import pickle

import fakeredis
import pytest
from rq.exceptions import DeserializationError
from rq.job import Callback, Job

from warmer.engine.drain_queue import DRAIN, SafeJob


class Trap:
    """Unpickling this would leave a mark."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('a pickle was loaded')",))


@pytest.fixture
def connection():
    return fakeredis.FakeStrictRedis()


def fetch_with_data(connection, data: bytes, **fields: object) -> SafeJob:
    connection.hset("rq:job:j", mapping={"data": data, "created_at": "2026-01-01T00:00:00Z", **fields})
    return SafeJob.fetch("j", connection=connection)


def test_our_own_jobs_run(connection):
    SafeJob.create(DRAIN, id="j", connection=connection).save()
    assert SafeJob.fetch("j", connection=connection).func.__name__ == "drain"


@pytest.mark.parametrize(
    "path", ["os.system", "warmer_workers.jobs.serving", "warmer.client.warmer.Warmer", "", None, 7]
)
def test_other_functions_are_refused(connection, path):
    job = fetch_with_data(connection, json.dumps([path, None, ["true"], {}]).encode())
    with pytest.raises(DeserializationError):
        _ = job.func


def test_pickles_are_not_loaded(connection):
    job = fetch_with_data(connection, pickle.dumps((Trap(), None, (), {})), meta=pickle.dumps(Trap()))
    with pytest.raises(DeserializationError):
        _ = job.func


def test_a_bound_instance_is_refused(connection):
    job = fetch_with_data(connection, json.dumps([DRAIN, {"some": "object"}, [], {}]).encode())
    with pytest.raises(DeserializationError):
        _ = job.func


def test_callbacks_and_webhooks_are_dropped(connection):
    plain = Job.create(DRAIN, id="j", connection=connection, on_success=Callback("os.getpid"), serializer=None)
    plain.save()
    connection.hset(
        "rq:job:j",
        mapping={
            "data": json.dumps([DRAIN, None, [], {}]),
            "failure_callback_name": "os.getpid",
            "stopped_callback_name": "os.getpid",
            "webhooks": json.dumps([{"url": "http://192.0.2.1/", "statuses": ["finished"]}]),
        },
    )
    job = SafeJob.fetch("j", connection=connection)
    assert job.success_callback is None
    assert job.failure_callback is None
    assert job.stopped_callback is None
    assert job.webhooks == []
