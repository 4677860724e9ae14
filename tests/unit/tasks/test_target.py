"""Targets: a task with arguments, and its text form, the ref."""

from hypothesis import given
from hypothesis import strategies as st

from warmer import WarmingTask
from warmer.tasks.target import Target, make_ref, parse_ref


def task(**values: object) -> WarmingTask:
    return WarmingTask(**{"task_id": "t", "cache_key": "k", "compute_fn": "module:function", **values})


arguments = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True),
    st.integers(-(2**53), 2**53) | st.text(max_size=20).filter(lambda text: text.isprintable()),
    max_size=4,
)


@given(arguments)
def test_refs_round_trip(given_arguments):
    assert parse_ref(make_ref("some.task", given_arguments)) == ("some.task", given_arguments)


def load_user(user_id: int, lang: str = "en") -> None: ...


def user_task(**values: object) -> WarmingTask:
    return task(**{"task_id": "profile", "cache_key": "user:{user_id}:{lang}", "compute_fn": load_user, **values})


def test_a_target_can_be_made_of_arguments_in_canonical_form():
    assert Target(user_task(), {"user_id": 42, "lang": "de"}).cache_key == "user:42:de"
