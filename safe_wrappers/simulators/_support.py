"""What is said of simulators for which the library is not made, and the page that says more."""

import warnings

PAGE = 'See "Is my environment supported?" (docs/supported_environments.md).'
MANY_STATES = 6


def warn_of_many_states(name: str, size: int, stacklevel: int) -> None:
    """Warns of a plant with more states than sets were ever found for.

    Args:
        name: Name of the plant.
        size: Its number of states n.
        stacklevel: The level of `warnings.warn`, counted from the caller.
    """
    if size > MANY_STATES:
        warnings.warn(
            f"{name} has {size} states. Safe sets were found for up to 4 states in one piece, and "
            f"for {MANY_STATES} in blocks; for this many expect none. Choose fewer states that "
            f"move on their own, or give an `ExplicitSystem` safe actions that you know. {PAGE}",
            stacklevel=stacklevel + 1,
        )
