"""False claims are refuted by the proof itself, each by a state that is checked here against plants
written anew in NumPy.

A mutant is a shipped certificate with one thing wrong: a facet, the plant, the disturbances or the
constraints. It is made as a `Claim` and loaded from its file, so that checksum,
fingerprint and margins are valid and nothing but the proof can reject it. Not every change makes a
false claim: the paper's zonotope and the larger time steps below, for instance, have room to spare.
So a moved facet counts as a mutant only if it is refuted, and must be refuted if a vertex without a
safe action, or outside the constraints, is found here first.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from plants import PLANTS, action_rows, cart_pole, disturbance_vertices, facets
from robot_plants import ROBOTS
from scipy.optimize import linprog

from safe_wrappers import envs
from safe_wrappers.certificates import Certificate, Claim, prove
from safe_wrappers.envs import dynamics
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope

# Refutations need few; claims that are undecided by then are no mutants.
MAX_CELLS = 3_000


class Mutant(NamedTuple):
    """What is wrong with a claim: the model, which is `plant` in NumPy, or factors of the rows of
    H, of W, or of X.
    """

    model: Model
    plant: Callable[..., np.ndarray]
    H: np.ndarray | float = 1.0
    W: float = 1.0
    X: float = 1.0

    def claim(self, claim, path):
        """The claim of the mutant, from its file."""
        W, X, H = claim.disturbance_set, claim.constraint_set, facets(claim)
        S = Polytope(H * self.H, np.ones(len(H)))
        X = Box(np.asarray(X.lower) * self.X, np.asarray(X.upper) * self.X)
        W = Box(np.asarray(W.lower, np.float64) * self.W, np.asarray(W.upper, np.float64) * self.W)
        mutant = Claim(
            self.model,
            safe_state_set=S,
            constraint_set=X,
            disturbance_set=W,
            blocks=claim.blocks,
        )
        Certificate(mutant, "mutant").save(path)
        return Certificate.load(path, self.model).claim


@functools.cache
def shipped(system, name):
    return envs.load_certificate(system, name).claim


def changed(system, **parameters):
    """Another plant: the bundled model with other parameters."""
    factory = getattr(dynamics, system.removeprefix("safe_"))
    return Mutant(factory(**parameters), functools.partial(PLANTS[system], **parameters))


def same(system, **wrong):
    return Mutant(envs.get_model(system), PLANTS[system], **wrong)


def reversed_hinge():
    """A cart-pole whose hinge turns the other way: the sign of the coupling between cart and pole
    is flipped.
    """
    original, flip = envs.get_model("safe_cart_pole"), jnp.array([1.0, -1.0, 1.0, -1.0])
    turned = Model(
        original.name,
        lambda x, a, w: flip * original.step(flip * x, a, w * jnp.array([1.0, -1.0])),
        original.state_size,
        original.action_size,
        original.disturbance_size,
        original.parameters,
    )
    return Mutant(turned, functools.partial(cart_pole, hinge=-1))


def margin_at(claim, plant, x):
    """The largest margin min_i (1 - max_w H_i f(x, a, w)) of any action at the state x, shape (n,),
    in float64.
    """
    (A,), (b,) = action_rows(claim, plant, x[None])
    bounds = [(-1.0, 1.0)] * claim.model.action_size + [(None, None)]
    program = linprog(
        [*[0.0] * claim.model.action_size, -1.0],
        A_ub=np.column_stack([A, np.ones(len(b))]),
        b_ub=b,
        bounds=bounds,
    )
    assert program.status == 0
    # The best action as found, evaluated on the plant itself.
    after = np.array([plant(x, program.x[:-1], w) for w in disturbance_vertices(claim)])
    margin = float((1 - after @ facets(claim).T).min())
    assert margin == pytest.approx(-program.fun, abs=1e-8)
    return margin


def outside(claim, x):
    """Whether a state violates the constraints X, a box."""
    X = claim.constraint_set
    return bool(np.any(x < X.lower) or np.any(x > X.upper))


def is_refuted(claim, mutant):
    """Whether the proof refutes a mutant by a state of S that has no safe action or lies outside
    X.
    """
    result = prove(claim, max_cells=MAX_CELLS)
    if result.status != "counterexample":
        return False
    x = result.counterexample
    assert (facets(claim) @ x <= 1 + 1e-12).all()
    # A state whose safe actions keep a margin below sigma refutes the claim as well, but is not
    # counted here.
    largest = claim.sigma if result.margin > 0 else -1e-7
    assert outside(claim, x) or margin_at(claim, mutant.plant, x) < largest
    return result.margin < 0


def is_false(claim, mutant):
    """Whether some vertex of S has no safe action or lies outside X."""
    vertices = claim.safe_state_set.vertices() * (1 - 1e-9)
    return any(outside(claim, x) for x in vertices) or any(
        margin_at(claim, mutant.plant, x) < -1e-6 for x in vertices
    )


# Facets that are refuted when moved out, with their opposites, by 3 %; the others leave an
# invariant set, or one that is hard to decide.
REFUTED_FACETS = {
    ("safe_pendulum", "full"): 3,
    ("safe_pendulum", "upright"): 4,
    ("safe_pendulum", "narrow"): 3,
    ("safe_cart_pole", "wide"): 6,
    ("safe_cart_pole", "classic"): 10,
    ("safe_quadrotor", "wide"): 6,
}


@pytest.mark.parametrize(
    ("system", "name"),
    [
        pytest.param(
            *pair,
            marks=pytest.mark.slow if pair[1] == "classic" or pair[0] == "safe_quadrotor" else (),
        )
        for pair in REFUTED_FACETS
    ],
)
def test_facets_moved_out_are_refuted(system, name, tmp_path):
    H = facets(shipped(system, name))
    refuted = 0
    for row in H[[i for i in range(len(H)) if tuple(H[i]) > tuple(-H[i])]]:
        moved = ((H == row) | (H == -row)).all(axis=1, keepdims=True)
        mutant = same(system, H=np.where(moved, 1 / 1.03, 1.0))
        claim = mutant.claim(shipped(system, name), tmp_path / "mutant.json")
        found = is_refuted(claim, mutant)
        assert found or not is_false(claim, mutant)
        refuted += found
    print(
        f"{system} {name}: {refuted} of {len(H) // 2} pairs of facets, moved out by 3 %, are "
        "refuted"
    )
    assert refuted >= REFUTED_FACETS[system, name]


PENDULUM = {
    "torque x 0.9": lambda: changed("safe_pendulum", torque=27.0),
    "mass x 1.1": lambda: changed("safe_pendulum", mass=1.1),
    "length x 1.2": lambda: changed("safe_pendulum", length=1.2),
    "gravity x 2": lambda: changed("safe_pendulum", gravity=2 * 9.81),
    "time step x 0.6": lambda: changed("safe_pendulum", dt=0.03),
    "disturbance x 20": lambda: same("safe_pendulum", W=20.0),
    "set x 1.02": lambda: same("safe_pendulum", H=1 / 1.02),
    "constraints x 0.99": lambda: same("safe_pendulum", X=0.99),
}
PAPER = {
    "torque / 6": lambda: changed("safe_pendulum", torque=5.0),
    "mass x 5": lambda: changed("safe_pendulum", mass=5.0),
    "length x 3": lambda: changed("safe_pendulum", length=3.0),
    "gravity x 10": lambda: changed("safe_pendulum", gravity=98.1),
    "disturbance x 1,000": lambda: same("safe_pendulum", W=1_000.0),
    "constraints x 0.8": lambda: same("safe_pendulum", X=0.8),
}
CART_POLE = {
    "force x 0.9": lambda: changed("safe_cart_pole", force=9.0),
    "cart mass x 1.15": lambda: changed("safe_cart_pole", cart_mass=1.15),
    "pole mass x 3": lambda: changed("safe_cart_pole", pole_mass=0.3),
    "shorter pole": lambda: changed("safe_cart_pole", half_length=0.4),
    "longer pole": lambda: changed("safe_cart_pole", half_length=0.55),
    "gravity x 1.1": lambda: changed("safe_cart_pole", gravity=1.1 * 9.8),
    "gravity upwards": lambda: changed("safe_cart_pole", gravity=-9.8),
    "coupling reversed": reversed_hinge,
    "disturbance x 3": lambda: same("safe_cart_pole", W=3.0),
    "set x 0.4": lambda: same("safe_cart_pole", H=2.5),
    "set x 1.01": lambda: same("safe_cart_pole", H=1 / 1.01),
    "constraints x 0.99": lambda: same("safe_cart_pole", X=0.99),
}
QUADROTOR = {
    "disturbance x 3": lambda: same("safe_quadrotor", W=3.0),
    "thrust x 0.5": lambda: changed("safe_quadrotor", thrust_range=3 / 7),
    "constraints x 0.99": lambda: same("safe_quadrotor", X=0.99),
}
MUTANTS = {
    ("safe_pendulum", "full"): {
        **PENDULUM,
        "gravity x -7": lambda: changed("safe_pendulum", gravity=-7 * 9.81),
    },
    ("safe_pendulum", "upright"): PENDULUM,
    ("safe_pendulum", "narrow"): PENDULUM,
    ("safe_pendulum", "walter2025"): PAPER,
    ("safe_cart_pole", "wide"): CART_POLE,
    ("safe_cart_pole", "classic"): CART_POLE,
    ("safe_quadrotor", "wide"): QUADROTOR,
}


@pytest.mark.parametrize(
    ("system", "name", "what"),
    [(*pair, what) for pair, mutants in MUTANTS.items() for what in mutants],
)
def test_other_plants_sets_and_bounds_are_refuted(system, name, what, tmp_path):
    mutant = MUTANTS[system, name][what]()
    assert is_refuted(mutant.claim(shipped(system, name), tmp_path / "mutant.json"), mutant)


def test_these_are_more_than_fifty_mutants_of_every_shipped_set():
    facet_mutants, others = sum(REFUTED_FACETS.values()), sum(map(len, MUTANTS.values()))
    print(f"{facet_mutants} moved facets and {others} other mutants")
    assert facet_mutants + others >= 50
    assert set(MUTANTS) | set(ROBOTS) == {
        (system, name)
        for system in envs.registered_names()
        for name in envs.certificate_names(system)
    }


def test_some_states_without_a_safe_action_are_no_vertices(tmp_path):
    """The branch and bound is needed: at the vertices alone these claims look true."""
    for name, parameters in (("full", {"gravity": -60.0}), ("walter2025", {"mass": 5.0})):
        mutant = changed("safe_pendulum", **parameters)
        claim = mutant.claim(shipped("safe_pendulum", name), tmp_path / "mutant.json")
        assert not is_false(claim, mutant)
        assert is_refuted(claim, mutant)
        assert prove(claim).depth > 0


@pytest.mark.parametrize(
    ("system", "name"), [("safe_pendulum", "full"), ("safe_cart_pole", "classic")]
)
def test_a_change_that_leaves_the_claim_true_is_proved(system, name, tmp_path):
    """Time steps of 1.05 times the length: rejecting everything is no proof."""
    dt = 1.05 * envs.get_model(system).parameters["dt"]
    mutant = changed(system, dt=dt)
    assert prove(mutant.claim(shipped(system, name), tmp_path / "variant.json")).proved
