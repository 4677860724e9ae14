"""Forked children start afresh: no lock, thread or connection of the parent's is theirs."""


def test_children_read_count_and_compute_for_themselves(fleet):
    printed = fleet.python(
        """
        import os, threading, time
        import warmer
        from warmer import Settings, Warmer
        from warmer.client.warmer import runtime_of

        app = Warmer(Settings.load(embedded=True))
        assert app.get_or_compute("k", lambda: "parent", ttl=60) == "parent"
        stop = threading.Event()
        busy = [threading.Thread(target=lambda: [app.get("k") for _ in iter(stop.is_set, True)]) for _ in range(4)]
        for thread in busy:
            thread.start()
        children = []
        for number in range(8):  # forked while locks are held by other threads
            pid = os.fork()
            if pid == 0:
                good = app.get("k") == "parent"
                good = good and app.get_or_compute(f"child-{number}", lambda: number, ttl=60) == number
                good = good and runtime_of(app).background.tick()
                os._exit(0 if good else 1)
            children.append(pid)
        deadline = time.monotonic() + 20
        codes = []
        for pid in children:
            while True:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    codes.append(os.waitstatus_to_exitcode(status))
                    break
                assert time.monotonic() < deadline, "a child hangs"
                time.sleep(0.01)
        stop.set()
        for thread in busy:
            thread.join()
        runtime_of(app).background.tick()
        pid = os.fork()  # as a web server forks workers from a parent that has already read
        if pid == 0:
            for _ in range(50):
                app.get("read in a child")
            time.sleep(3)
            os._exit(0)
        os.waitpid(pid, 0)
        counted = int(runtime_of(app).store.stats.totals()["misses"]) - 9
        assert counted == 50, counted
        runtime_of(app).store.control.hset(runtime_of(app).store.keys.totals, "misses", 9)
        print(codes, int(runtime_of(app).store.stats.totals()["misses"]))
        """
    )
    assert printed.split() == ["[0,", "0,", "0,", "0,", "0,", "0,", "0,", "0]", "9"]


def test_a_child_does_not_wait_for_its_parent_s_computation(fleet):
    printed = fleet.python(
        """
        import os
        from warmer.refresh.single_flight import FlightResult, SingleFlight

        flights = SingleFlight()
        flight, _ = flights.join("k")
        pid = os.fork()
        if pid == 0:
            _, leads = flights.join("k")
            os._exit(0 if leads else 1)
        flights.resolve("k", flight, FlightResult(1))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert printed.strip() == "0"


def test_a_fork_in_the_middle_of_a_computation_breaks_neither_side(fleet):
    printed = fleet.python(
        """
        import os
        from warmer import Settings, Warmer

        app, pids = Warmer(Settings.load(embedded=True)), []

        def fork_and_compute():
            pids.append(os.fork())
            return "value"

        value = app.get_or_compute("k", fork_and_compute, ttl=60)
        again = app.get_or_compute("other", lambda: "value", ttl=60)
        if pids[0] == 0:
            os._exit(0 if value == again == "value" else 1)
        app.close()
        print(os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1]), value, again)
        """
    )
    assert printed.split() == ["0", "value", "value"]


def test_children_of_multiprocessing_send_their_counts_at_their_end(fleet):
    fleet.write(
        "reading",
        """
        from warmer import default_warmer

        def read(_=None):
            for _ in range(100):
                default_warmer().get("k")
        """,
    )
    printed = fleet.python(
        """
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from reading import read
        from warmer import default_warmer
        from warmer.client.warmer import runtime_of

        read()
        for kind in ("fork", "forkserver"):
            child = multiprocessing.get_context(kind).Process(target=read)
            child.start()
            child.join(30)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            list(pool.map(read, [1]))
        runtime_of(default_warmer()).background.tick()
        print(int(runtime_of(default_warmer()).store.stats.totals()["misses"]))
        """
    )
    assert printed.split()[-1] == "400"
