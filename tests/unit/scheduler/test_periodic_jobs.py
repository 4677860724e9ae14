"""The jobs that the scheduler repeats."""

from warmer.tasks.switch import Switch
from warmer_scheduler.periodic_jobs import periodic_jobs


def test_periodic_jobs_follow_the_switch():
    assert periodic_jobs("n", Switch()) == []
    assert periodic_jobs("n", Switch(on=True, pattern=False)) == []
    assert [job.job_id for job in periodic_jobs("n", Switch(on=True))] == ["n-optimize"]
