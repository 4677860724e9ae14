"""Warming a user's data at login."""

import pytest

from warmer import InvalidTaskError, WarmingTask


def register(warmer, task_id: str, cache_key: str, **values: object) -> None:
    def compute(user_id: str | int, **more: int) -> dict[str, object]:
        return {"task": task_id, "user": user_id}

    warmer.register(WarmingTask(**{"task_id": task_id, "cache_key": cache_key, "compute_fn": compute, **values}))


@pytest.fixture
def app(warmer):
    register(warmer, "profile", "user:{user_id}:profile")
    register(warmer, "recent-forms", "user:{user_id}:forms", tags={"forms"})
    register(warmer, "off", "user:{user_id}:off", enabled=False)
    register(warmer, "orders", "user:{user_id}:orders:{year}")
    warmer.register(WarmingTask(task_id="catalog", cache_key="catalog", compute_fn=lambda: 1))
    return warmer


def runs_for_users(app) -> int:
    return sum(task.run_count for task in app.stats().task_details if task.task_id != "catalog")


def test_a_login_warms_the_user_scoped_tasks(app, eventually):
    app.start(embedded=True)
    result = app.warm_user_data("42")
    assert result["requested"] == ["profile", "recent-forms"]
    assert result["skipped"] == []
    eventually(lambda: app.get("user:42:profile") == {"task": "profile", "user": "42"})
    eventually(lambda: app.get("user:42:forms") == {"task": "recent-forms", "user": "42"})
    assert app.stats()["users_preloaded"] == 1


def test_forms_can_be_left_out(app):
    result = app.warm_user_data("42", preload_forms=False)
    assert (result["requested"], result["skipped"]) == (["profile"], ["recent-forms"])


def test_a_fresh_value_is_not_computed_again_unless_forced(app, eventually):
    app.start(embedded=True)
    app.warm_user_data("42")
    eventually(lambda: runs_for_users(app) == 2)
    app.warm_user_data("42")
    assert [app.warm(task_id, {"user_id": "42"}).wait().result for task_id in ("profile", "recent-forms")] == [
        "fresh"
    ] * 2
    assert runs_for_users(app) == 2
    app.warm_user_data("42", force=True)
    eventually(lambda: runs_for_users(app) == 4)


def test_it_works_in_a_process_that_knows_no_task(app, make_warmer):
    assert make_warmer().warm_user_data(7)["requested"] == ["profile", "recent-forms"]


@pytest.mark.parametrize("user_id", ["", None, 1.5, True, ["42"]])
def test_unusable_user_ids_are_refused(app, user_id):
    with pytest.raises(InvalidTaskError, match="user_id"):
        app.warm_user_data(user_id)


def test_without_user_scoped_tasks_nothing_is_asked(warmer):
    assert warmer.warm_user_data("42")["requested"] == []
    assert warmer.stats()["users_preloaded"] == 0
