"""Many threads at once are no outage."""

import threading


def test_a_rush_on_many_cold_keys_is_not_taken_for_an_outage(warmer):
    all_inside, values = threading.Barrier(200), []

    def compute(number: int) -> int:
        all_inside.wait(30)  # so that every one of them holds its lease at the same time
        return number

    def read(number: int) -> None:
        values.append(warmer.get_or_compute(f"k{number}", lambda: compute(number), ttl=60))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(values) == list(range(200))
    assert warmer.get_many(f"k{number}" for number in range(200)) == {f"k{number}": number for number in range(200)}
    assert warmer.stats()["incidents"]["read_errors"] == 0
