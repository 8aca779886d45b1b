"""The wrappers of a Gymnasium environment under which an action still reaches it once and
unchanged.
"""

from typing import Any

import gymnasium
from gymnasium import wrappers

from ._errors import WrapperOrderError

# Not `RecordVideo`, though it passes actions on: its videos and their numbers would be those of all
# resets, also of those that ended outside of the safe set and were drawn again.
_HARMLESS = (
    wrappers.PassiveEnvChecker,
    wrappers.OrderEnforcing,
    wrappers.TimeLimit,
    wrappers.RecordEpisodeStatistics,
    wrappers.NormalizeReward,
    wrappers.RenderCollection,
    wrappers.HumanRendering,
    gymnasium.ObservationWrapper,
    gymnasium.RewardWrapper,
)


def observers(
    env: gymnasium.Env[Any, Any], below: str, instead: str
) -> tuple[gymnasium.ObservationWrapper[Any, Any, Any], ...]:
    """The observation wrappers in `env`, the innermost first.

    Args:
        env: An environment, as `gymnasium.make` returns it.
        below: The class that takes it, for the error.
        instead: What to write, a sentence in which `{name}` is the wrapper that is in the way.

    Raises:
        WrapperOrderError: If there is another wrapper that may change, repeat or skip actions.
    """
    found = []
    while isinstance(env, gymnasium.Wrapper):
        if not isinstance(env, _HARMLESS):
            name = type(env).__name__
            raise WrapperOrderError(
                f"Below `{below}` every action must reach the environment once and "
                f"unchanged, but `env` contains a `{name}`. {instead.format(name=name)}"
            )
        if isinstance(env, gymnasium.ObservationWrapper):
            found.append(env)
        env = env.env
    return tuple(reversed(found))
