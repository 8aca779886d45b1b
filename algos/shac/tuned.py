"""Arguments of `train` that suit a system better than the defaults, which are tuned to the
pendulum: `TUNED` for bundled systems by their registered names, or by "name/goal" for one of their
goals, which goes before the name alone; `OWN_PLANT` for a plant of one's own, of which nothing is
known.

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
    # Its goals "start" and "far" alike. The way to the goal is longer than what windows of 8 steps
    # see: with the defaults three trainings ended at returns of -195, -823 and -2,030, with these
    # six ended at -60.7 to -62.3; trajectory optimisation has -60.9. With the default discounting
    # they ended at -61.4 to -62.6, with episodes of 240 steps, which are seldom near the goal, at
    # -62 to -81.
    "safe_quadrotor": {
        "num_envs": 16,
        "horizon_length": 32,
        "train_episode_length": 64,
        "num_critic_updates": 16,
        "discounting": 0.99,
    },
    # With boundary projection. Without a strong pull back to what is executed, policies of several
    # motors kept asking for more than is safe, where the projection passes on little gradient: at
    # a weight of 0.1 the arm ended 0.9 rad beside its goals after 60,000 interactions. When the
    # pull ended, one arm of five became worse (0.3 rad); hence a tenth of it lasts. 1,500,000
    # interactions led all of five seeds to 0.041 to 0.046 rad. With 32 windows of 16 steps, through
    # which gradients are smaller by orders of magnitude, 1,000,000 led them to 0.060 to 0.078 rad;
    # with episodes of 160 steps returns after 200,000 were -280 to -450 instead of -160 to -180.
    # Goals of the tip take as many: 200,000 led four seeds to 0.22 to 0.33 m, 1,500,000 three seeds
    # to 0.09 to 0.10 m.
    "safe_arm": {
        "num_envs": 16,
        "horizon_length": 32,
        "train_episode_length": 64,
        "num_critic_updates": 16,
        "learning_rate": 2e-3,
        "regularisation": 1.0,
        "final_regularisation_fraction": 0.1,
    },
    # 1,200,000 interactions led it to 0.05 m from its way-points, 300,000 to 0.16 m.
    # Hovering, three seeds stood 0.01 to 0.07 m beside their place.
    "safe_quadrotor_3d": {
        "num_envs": 16,
        "horizon_length": 64,
        "train_episode_length": 128,
        "learning_rate": 2e-3,
        "regularisation": 1.0,
    },
}

# Windows of 32 steps see more of a goal than 16 do, and rewards without a unit suit learning rates
# and penalties that were chosen without knowing it: docs/policy_leans_on_the_safeguard.md has
# the measurements.
OWN_PLANT: dict[str, Any] = {
    "num_envs": 8,
    "horizon_length": 32,
    "train_episode_length": 64,
    "normalize_rewards": True,
}
