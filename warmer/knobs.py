"""What people say of how much warming may spend: one of three knobs, for the fleet or for a task of its own."""


def check_knobs(extra_compute: float | None, target_hit_ratio: float | None, budget_s_per_minute: float | None) -> None:
    """Refuse more than one knob: they would pull at the same price.

    Raises:
        ValueError: more than one is given.

    Example:
        >>> check_knobs(0.25, None, None)
        >>> try:
        ...     check_knobs(0.25, 0.99, None)
        ... except ValueError as error:
        ...     print(str(error).rpartition("; ")[2])
        leave out all but one
    """
    given = {
        "extra_compute": extra_compute,
        "target_hit_ratio": target_hit_ratio,
        "budget_s_per_minute": budget_s_per_minute,
    }
    set_ones = [f"{name}={value:g}" for name, value in given.items() if value is not None]
    if len(set_ones) > 1:
        raise ValueError(
            "expected one of extra_compute, target_hit_ratio and budget_s_per_minute, got "
            f"{' and '.join(set_ones)}; leave out all but one"
        )
