import numpy as np
import pytest

from safe_wrappers.certificates import Claim
from safe_wrappers.envs.dynamics import pendulum
from safe_wrappers.sets import Box, Polytope, Zonotope

# A set of the pendulum with |th| <= pi / 3, |thd| <= 8 and |w| <= 0.1; half of its rows.
UPRIGHT = np.array(
    [
        [0.9549306, 0.0],
        [0.34785491, -0.079465978],
        [-0.62977016, -0.059455],
        [-0.80980533, -0.039656989],
        [0.0, 0.12500012],
    ]
)
GENERATORS = np.array(
    [
        [0.0470135, -1.19096637, -0.00060743, 0.15574911, 0.00378601, 0.0],
        [0.06101121, 2.89558077, 5.66793728, 0.00001669, 0.0, 0.00117903],
    ]
)


@pytest.fixture(scope="session")
def certify():
    """Makes a claim about the pendulum from rows H, shape (m, 2)."""

    def make(H, *, model=None, w=0.1, x_max=(np.pi / 3, 8.0), **kwargs) -> Claim:
        X, W = Box.symmetric(np.array(x_max)), Box.symmetric([w])
        return Claim(
            model or pendulum(),
            safe_state_set=Polytope(H, np.ones(len(H))),
            constraint_set=X,
            disturbance_set=W,
            **kwargs,
        )

    return make


@pytest.fixture(scope="session")
def upright_rows():
    return np.concatenate([UPRIGHT, -UPRIGHT])


@pytest.fixture(scope="session")
def upright(certify, upright_rows):
    return certify(upright_rows)


@pytest.fixture(scope="session")
def walter(certify):
    """The zonotope of Walter et al. 2025, which reaches 11.6 rad/s: the first two generators
    twice.
    """
    generators = np.concatenate([GENERATORS, -GENERATORS[:, :2]], axis=1)
    zonotope = Zonotope(np.zeros(2), generators)
    H = zonotope.to_polytope().normalised().H
    return certify(H, x_max=(np.inf, np.inf), generators=zonotope)
