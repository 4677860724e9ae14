"""The quick start, runnable: its complete example, with real functions where it leaves them to you.

    WARMER_EMBEDDED=1 python examples/quick_start.py

warms in this very process, on a private Redis of its own. With a scheduler and a worker process instead, from
the folder of this file:

    warmer dev --import quick_start:init_app -- python quick_start.py
"""

import time

from warmer import (
    WarmingTask,
    get,
    get_warming_stats,
    register_critical_task,
    register_warming_task,
    start_cache_warming,
    warm_user_data_optimized,
)

# --- the functions that the quick start leaves to you ---------------------------------------------------------


def load_catalog():
    """Stands for a slow query; what it returns is cached as JSON."""
    time.sleep(0.3)
    return [{"sku": number, "name": f"Product {number}", "price": 1.5 * number} for number in range(1, 501)]


def load_profile(user_id):
    time.sleep(0.2)
    return {"user_id": user_id, "name": f"User {user_id}"}


# --- the complete example, as it stands in the quick start ----------------------------------------------------


# fmt: off
# 1. Register tasks during app initialization
def init_cache_warming():
    # Critical system data
    catalog_task = WarmingTask(
        task_id="catalog",
        name="Product Catalog",
        cache_key="catalog:products",
        compute_fn=load_catalog,
        priority=100
    )
    register_critical_task(catalog_task)

    # Start background warming
    start_cache_warming(interval_minutes=60)

# 2. Warm user data on login
def handle_user_login(user_id: str):
    warm_user_data_optimized(user_id, preload_forms=True)

# 3. Monitor performance
def check_warming_health():
    stats = get_warming_stats()
    print(f"Active tasks: {stats['tasks']}")
    print(f"Critical keys: {stats['critical_keys']}")
    print(f"Running: {stats['running']}")
# fmt: on


# --- an application that uses it ------------------------------------------------------------------------------


def init_app():
    init_cache_warming()
    register_warming_task(WarmingTask(task_id="profile", cache_key="profile:{user_id}", compute_fn=load_profile))


def main():
    init_app()
    print(f"{len(read_when_warm('catalog:products'))} products are warm, computed in the background")
    handle_user_login("42")
    print(f"{read_when_warm('profile:42')['name']} has logged in")
    began_s = time.perf_counter()
    get("catalog:products")
    print(f"A warm hit took {1000 * (time.perf_counter() - began_s):.2f} ms")
    check_warming_health()


def read_when_warm(key):
    """Wait for the first value of a key: only so that this script has something to show."""
    deadline_s = time.monotonic() + 30
    while (value := get(key)) is None:
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{key} did not become warm; does a worker know its task?")
        time.sleep(0.05)
    return value


if __name__ == "__main__":
    # Workers import this module by its name. So does this script, or its functions would be those of `__main__`,
    # where no worker could find them.
    import quick_start

    quick_start.main()
