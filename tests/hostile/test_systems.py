"""Models, claims and systems: every value for what they are made of, and the requests that they
then make safe.
"""

import functools

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile.tally import FLAGGED, RIGHT, UNSAFE, Case, check, right

import safe_wrappers as sw
from safe_wrappers.certificates import Claim
from safe_wrappers.models import enclosed

SQUARE = sw.Polytope(np.r_[np.eye(2), -np.eye(2)].astype(np.float32), np.ones(4, np.float32))
W = sw.Box.symmetric([1.0])
X = sw.Box.symmetric([9.0, 9.0])


def linear(x, a, w):
    return jnp.stack([1.05 * x[0] + 0.4 * a[0] + 0.01 * w[0], 0.9 * x[1]])


MODEL = sw.Model("test", linear, 2, 1, 1)


def state(env_state):
    return env_state


def claim(model=MODEL, **parts):
    sets = {"safe_state_set": SQUARE, "constraint_set": X, "disturbance_set": W}
    return Claim(model, **{**sets, **parts})


def zonotope_system(model=MODEL, **parts):
    fields = {
        "safe_state_set": sw.Zonotope([0.0, 0.0], np.eye(2)),
        "disturbance_set": W,
        "constraint_set": X,
        "state": state,
    }
    return sw.ZonotopeSystem(model, **{**fields, **parts})


def explicit(**parts):
    fields = {
        "action_size": 1,
        "rows": lambda x: (jnp.array([[0.4], [-0.4]]), jnp.array([0.9 - x[0], 0.9 + x[0]])),
        "margin": lambda x: 1 - jnp.abs(x[0]),
        "sample_initial": lambda key: jnp.zeros(1),
        "state": state,
    }
    return sw.ExplicitSystem(**{**fields, **parts})


MODELS = [
    ("name", None),
    ("name", 3),
    ("step", None),
    ("step", "linear"),
    ("state_size", 0),
    ("state_size", -1),
    ("state_size", 2.0),
    ("state_size", "2"),
    ("action_size", 0),
    ("action_size", True),
    ("action_size", None),
    ("disturbance_size", -1),
    ("disturbance_size", 1.5),
    ("parameters", 3),
    ("parameters", {"mass": float("nan")}),
    ("parameters", {"mass": "heavy"}),
]


def test_models():
    fields = {"name": "test", "step": linear, "state_size": 2, "action_size": 1}
    fields["disturbance_size"] = 1
    cases = [
        Case(
            f"{name} = {value}",
            functools.partial(sw.Model, **{**fields, name: value}),
            None,
            name if name == "parameters" else f"`{name}`",
        )
        for name, value in MODELS
    ]
    cases += [Case("a size of NumPy", lambda: sw.Model("a", linear, np.int64(2), 1, 1), right)]
    check(cases, 17)


BOUNDS = [-1.0, -0.01, "-0.01", np.nan, np.inf, "0.01", 1j, [0.1, 0.1, 0.1], [[0.1]]]
NO_SETS = [None, 3, "square", np.eye(2)]


def test_claims():
    cases = [
        Case(f"eps = {eps}", functools.partial(claim, eps=eps), None, "`eps`") for eps in BOUNDS
    ]
    cases += [
        Case(f"gain = {gain}", functools.partial(claim, eps=1e-5, gain=gain), None, "`gain`")
        for gain in BOUNDS
    ]
    cases += [
        Case(f"sigma = {sigma}", functools.partial(claim, sigma=sigma), None, "`sigma`")
        for sigma in (0, -1, np.nan, np.inf, "0.1", None, [0.1], 1e-9)
    ]
    cases += [
        Case(f"{name} = {value}", functools.partial(claim, **{name: value}), None, f"`{name}`")
        for name in ("safe_state_set", "constraint_set", "disturbance_set")
        for value in NO_SETS
    ]
    flat, wide = sw.Box.symmetric([1.0]), sw.Box.symmetric([1.0, 1.0])
    cases += [
        Case("model None", lambda: claim(None), None, "`model`"),
        Case("model a function", lambda: claim(linear), None, "`model`"),
        Case("X of one state", lambda: claim(constraint_set=flat), None, "`constraint_set`"),
        Case("W of two", lambda: claim(disturbance_set=wide), None, "`disturbance_set`"),
        Case("S a box", lambda: claim(safe_state_set=wide), None, "`safe_state_set`"),
        Case("generators 3", lambda: claim(generators=3), None, "`generators`"),
        Case("ordinary", claim, right),
    ]
    check(cases, 45)


NOT_AFFINE = {
    "square": lambda x, a, w: linear(x, a + 0.3 * a**2, w),
    "tanh": lambda x, a, w: linear(x, jnp.tanh(3 * a), w),
    "clip": lambda x, a, w: linear(x, jnp.clip(2 * a, -1, 1), w),
    "round": lambda x, a, w: linear(x, jnp.round(a), w),
    "branch": lambda x, a, w: linear(x, jnp.where(a > 0, a, 2 * a), w),
    "square of w": lambda x, a, w: linear(x, a, w**2),
}


@pytest.mark.parametrize("make", [claim, zonotope_system])
def test_models_that_are_not_affine_are_refused(make):
    cases = [
        Case(name, functools.partial(make, sw.Model("test", step, 2, 1, 1)), None, "'test'")
        for name, step in NOT_AFFINE.items()
    ]
    check(cases, 6)


def test_systems():
    promise = claim()
    cases = [
        Case(f"promise {p}", functools.partial(sw.ModelSystem, p, state=state), None, "promise")
        for p in (None, 3, "full", MODEL, SQUARE)
    ]
    cases += [
        Case(f"state {s}", functools.partial(sw.ModelSystem, promise, state=s), None, "`state`")
        for s in (None, 3, "obs")
    ]
    cases += [
        Case(f"zonotope, eps = {e}", functools.partial(zonotope_system, eps=e), None, "`eps`")
        for e in BOUNDS
    ]
    cases += [
        Case(
            f"zonotope, {name} = {value}",
            functools.partial(zonotope_system, **{name: value}),
            None,
            f"`{name}`",
        )
        for name in ("safe_state_set", "constraint_set", "disturbance_set", "state")
        for value in NO_SETS
    ]
    cases += [
        Case(
            f"explicit, {name} = {value}",
            functools.partial(explicit, **{name: value}),
            None,
            f"`{name}`",
        )
        for name, value in (
            ("action_size", 0),
            ("action_size", 1.0),
            ("action_size", None),
            ("rows", None),
            ("margin", 3),
            ("sample_initial", "zero"),
            ("state", None),
            ("anchor", np.zeros(1)),
        )
    ]
    check(cases, 41)


REMAINDERS = {
    "negative": lambda x: jnp.full(2, -0.01),
    "NaN": lambda x: jnp.full(2, jnp.nan),
    "infinite": lambda x: jnp.full(2, jnp.inf),
    "zero": lambda x: jnp.zeros(2),
}
BAD_OUTPUTS = {
    "NaN": jnp.nan,
    "inf": jnp.inf,
    "1e38": 1e38,
}


def judged(x, output):
    """By hand, in float64: |1.05 x0 + 0.4 a +- 0.01| <= 1."""
    a = np.asarray(output.action, np.float64)
    if not np.isfinite(a).all() or np.abs(a).max() > 1:
        return UNSAFE, f"executed {a}"
    if not output.feasible:
        return FLAGGED, ""
    return (RIGHT, "") if abs(1.05 * x[0] + 0.4 * a[0]) + 0.01 <= 1 else (UNSAFE, f"executed {a}")


def test_remainders_and_models_that_are_not_finite():
    """A negative remainder counts as 0, and what is unknown leaves no action safe."""
    x = np.array([0.99, 0.2], np.float32)

    def run(model, disturbances):
        system = sw.ModelSystem(claim(model, disturbance_set=disturbances, eps=1e-5), state=state)
        return sw.safe_action(system, sw.BoundaryProjection(), x, np.ones(1, np.float32))

    cases = []
    for name, remainder in REMAINDERS.items():
        model = enclosed(MODEL, remainder)
        call = functools.partial(run, model, model.disturbances(W))
        cases.append(Case(f"remainder {name}", call, functools.partial(judged, x)))
    for name, value in BAD_OUTPUTS.items():

        def step(x, a, w, value=value):
            return linear(x, a, w) + value

        model = sw.Model("test", step, 2, 1, 1)
        cases.append(
            Case(f"output {name}", functools.partial(run, model, W), functools.partial(judged, x))
        )
    cases += [
        Case(f"remainder {r}", functools.partial(enclosed, MODEL, r), None, "`remainder`")
        for r in BOUNDS
    ]
    tally = check(cases, 16)
    assert tally[RIGHT] == 2
    assert tally[FLAGGED] == 5


def test_conform():
    env = sw.envs.get_environment("safe_pendulum")
    refused = [
        ("samples", 0),
        ("samples", -5),
        ("samples", 2.5),
        ("samples", "10"),
        ("samples", True),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", 2**40),
        ("seed", "a"),
        ("confidence", 1.0),
        ("confidence", np.nan),
        ("confidence", 2),
        ("confidence", "0.9"),
        ("enlargement", np.nan),
        ("enlargement", -1),
        ("allowance", 0.0),
        ("allowance", np.nan),
        ("allowance", -1.0),
        ("allowance", np.ones(5)),
        ("start", 3),
    ]
    cases = [
        Case(
            f"{name} = {value}",
            functools.partial(sw.conform, env, **{"samples": 64, name: value}),
            None,
            f"`{name}`",
        )
        for name, value in refused
    ]
    cases += [
        Case("env None", lambda: sw.conform(None), None, "`env`"),
        Case("env str", lambda: sw.conform("safe_pendulum"), None, "`env`"),
    ]
    check(cases, 22)


def test_an_ordinary_system_is_judged_right():
    system = sw.ModelSystem(claim(), state=state)
    guarded = jax.jit(lambda x, a: sw.safe_action(system, sw.BoundaryProjection(), x, a))
    out = guarded(np.array([0.99, 0.2], np.float32), np.ones(1, np.float32))
    assert judged(np.array([0.99, 0.2]), out) == (RIGHT, "")


@pytest.mark.filterwarnings("ignore:Brax System, piplines and environments are not actively")
def test_plants_of_brax():
    env = brax.envs.get_environment("inverted_pendulum", backend="generalized")
    refused = [
        ("q", [0.7]),
        ("q", [True]),
        ("q", [0, 0]),
        ("q", [5]),
        ("q", [-1]),
        ("q", "a"),
        ("q", 0),
        ("qd", ["a"]),
        ("qd", {0}),
        ("disturbed", [99]),
        ("disturbed", [0.5]),
    ]
    cases = [
        Case(f"{k} = {v}", functools.partial(sw.BraxPlant, env, **{k: v}), None, f"`{k}")
        for k, v in refused
    ]
    cases += [
        Case("env None", lambda: sw.BraxPlant(None), None, "`env`"),
        Case("env str", lambda: sw.BraxPlant("ant"), None, "`env`"),
    ]
    check(cases, 13)


def test_fits():
    key = np.asarray(jax.random.PRNGKey(0))
    fits = [("remainder", functools.partial(sw.fit_remainder, MODEL, SQUARE, W))]
    fits += [("surrogate", functools.partial(sw.fit_surrogate, MODEL, SQUARE))]
    refused = [
        ("samples", 0),
        ("samples", 2.5),
        ("samples", "10"),
        ("safety", 0.5),
        ("safety", np.nan),
        ("safety", "2"),
        ("key", None),
        ("key", 3),
    ]
    cases = [
        Case(
            f"{name}, {option} = {value}",
            functools.partial(fit, **{"key": key, option: value}),
            None,
            f"`{option}`",
        )
        for name, fit in fits
        for option, value in refused
    ]
    check(cases, 16)
