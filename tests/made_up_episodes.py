"""Episodes that nobody has run."""

import numpy as np

from safe_wrappers.evaluation import Episodes


def made_up_episodes(n, episodes=3, steps=5, q=None):
    x = 0.1 * np.random.default_rng(0).standard_normal((steps + 1, episodes, n))
    zeros = np.zeros((steps, episodes))
    return Episodes(
        x=x,
        action=zeros[..., None],
        reward=zeros,
        margin=zeros + 1,
        violation=zeros.copy(),
        intervention=zeros.copy(),
        fallback=zeros,
        q=q,
    )
