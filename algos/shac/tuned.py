"""Arguments of `train` that suit a bundled system better than the defaults, which are tuned to the
pendulum.

By the system's registered name; a system that is not there is trained with the defaults.

Example:
    >>> import safe_wrappers as sw
    >>> sw.algos.shac.TUNED.get("safe_cart_pole", {})
    {'horizon_length': 64, 'train_episode_length': 64}
"""

from typing import Any

TUNED: dict[str, dict[str, Any]] = {
    # 1.3 s, about what the cart needs to come back; it must first roll the other way. With windows
    # and episodes much shorter than that, which leave the way back to the value function, policies
    # came to rest up to 0.5 m beside the target.
    "safe_cart_pole": {"horizon_length": 64, "train_episode_length": 64},
}
