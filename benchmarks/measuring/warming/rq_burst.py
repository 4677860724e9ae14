"""Works off RQ's queue in a process of its own, and prints how many seconds that took: `rq_burst.py WORKER URL QUEUE`.

The clock runs while the worker works: the start of the process, and the import of the jobs, are not held against RQ.
"""

import sys
import time

from redis import Redis
from rq import Queue, SimpleWorker, Worker

import measuring.warming.rq_jobs  # noqa: F401  (forked work horses find it imported)

WORKERS = {worker.__name__: worker for worker in (SimpleWorker, Worker)}


def main() -> None:
    kind, url, queue = sys.argv[1:]
    connection = Redis.from_url(url)
    worker = WORKERS[kind]([Queue(queue, connection=connection)], connection=connection, log_job_description=False)
    started = time.perf_counter()
    worker.work(burst=True, logging_level="ERROR")
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
