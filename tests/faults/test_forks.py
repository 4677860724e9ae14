"""Forked children start afresh: no lock, thread or connection of the parent's is theirs."""


def test_children_read_count_and_compute_for_themselves(fleet):
    printed = fleet.python(
        """
        import os, threading, time
        import warmer
        from warmer import Settings, Warmer

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
                good = good and app.pulse.beat()
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
        app.pulse.beat()
        pid = os.fork()  # as a web server forks workers from a parent that has already read
        if pid == 0:
            for _ in range(50):
                app.get("read in a child")
            time.sleep(3)
            os._exit(0)
        os.waitpid(pid, 0)
        counted = int(app.store.totals()["misses"]) - 9
        assert counted == 50, counted
        app.store.control.hset(app.store.keys.totals, "misses", 9)
        print(codes, int(app.store.totals()["misses"]))
        """
    )
    assert printed.split() == ["[0,", "0,", "0,", "0,", "0,", "0,", "0,", "0]", "9"]


def test_a_child_does_not_wait_for_its_parent_s_computation(fleet):
    printed = fleet.python(
        """
        import os, time
        from warmer.cache import Flights

        flights = Flights(wait_s=30)
        with flights.alone("k"):
            pid = os.fork()
            if pid == 0:
                began = time.monotonic()
                with flights.alone("k"):
                    os._exit(0 if time.monotonic() - began < 5 else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert printed.strip() == "0"


def test_a_fork_in_the_middle_of_a_computation_breaks_neither_side(fleet):
    printed = fleet.python(
        """
        import os
        from warmer.cache import Flights

        flights, pid = Flights(wait_s=30), None
        with flights.alone("k"):
            pid = os.fork()
        if pid == 0:
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """
    )
    assert printed.strip() == "0"
