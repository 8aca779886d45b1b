"""Starts lie in the safe set exactly, many of them on its boundary."""

import numpy as np
import pytest
from falsification.unsafe import CLAIM, Bare
from off_center import drone_claim

from safe_wrappers.falsification._starts import near, on_boundary
from safe_wrappers.falsification._subject import subject_of
from safe_wrappers.falsification._window import Windows


@pytest.mark.parametrize("claim", [CLAIM, drone_claim()])
def test_states_on_the_boundary_are_inside_by_a_rounding(claim):
    subject = subject_of(Bare(claim), "none", None)
    sampled = Windows(subject).sample(500, 0)
    x = on_boundary(subject.judge, sampled, np.random.default_rng(0))
    assert x.dtype == np.float32
    margins = subject.judge.exact(x)
    assert margins.min() >= 0
    assert np.median(margins) < 1e-6
    assert len(np.unique(x, axis=0)) > 450


def test_states_near_others_are_inside_and_some_are_the_others():
    subject = subject_of(Bare(CLAIM), "none", None)
    rng = np.random.default_rng(0)
    sampled = Windows(subject).sample(500, 0)
    parents = on_boundary(subject.judge, sampled, rng)[:10]
    x = near(subject.judge, parents, 2000, np.std(sampled, axis=0), rng)
    assert x.dtype == np.float32
    assert subject.judge.exact(x).min() >= 0
    far = np.abs(x[:, None] - parents[None]).max(axis=2).min(axis=1)
    assert 0.2 < np.mean(far == 0) < 0.8
    assert far.max() > 0.01
