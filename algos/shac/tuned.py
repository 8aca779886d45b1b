"""Arguments of `train` that suit a bundled system better than the defaults, which are tuned to the pendulum.

By the system's registered name; a system that is not there is trained with the defaults.

Example:
    >>> import safe_wrappers as sw
    >>> sw.algos.shac.TUNED.get("safe_cart_pole", {})
    {'horizon_length': 64, 'train_episode_length': 64}
"""

from typing import Any

TUNED: dict[str, dict[str, Any]] = {
    # 1.3 s. The cart must first roll away from where it is to go, and needs about that long to get there: in windows much
    # shorter than that only the value function says where to stand, and its maximum lies up to 0.5 m beside the target.
    "safe_cart_pole": {"horizon_length": 64, "train_episode_length": 64},
}
