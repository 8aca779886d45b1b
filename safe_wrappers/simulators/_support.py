"""What is said of simulators for which the library is not made, and the page that says more."""

import warnings

PAGE = 'See "Is my environment supported?" (docs/supported_environments.md).'
MANY_STATES = 6


def warn_of_many_states(name: str, size: int, stacklevel: int) -> None:
    """Warns of a plant with more states than sets of polynomial models were ever found for.

    Args:
        name: Name of the plant.
        size: Its number of states n.
        stacklevel: The level of `warnings.warn`, counted from the caller.
    """
    if size > MANY_STATES:
        warnings.warn(
            f"{name} has {size} states. Safe sets were found for up to 4 states in one piece and "
            f"for {MANY_STATES} in blocks, for more only of arms that have a motor at every joint "
            "(`BraxPlant.mechanical`) and of plants in virtual inputs; else expect none. Choose "
            "fewer states that move on their own, or give an `ExplicitSystem` safe actions that "
            f"you know. {PAGE}",
            stacklevel=stacklevel + 1,
        )
