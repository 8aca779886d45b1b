"""`SafeguardWrapper`: every value for the action, the start and the options."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hostile.oracle import Oracle
from hostile.tally import RIGHT, UNSAFE, WRONG, Case, check, right
from hostile.values import actions, few, numbers, states

import safe_wrappers as sw
from safe_wrappers.safeguards import make_safeguard

KEY = np.asarray(jax.random.PRNGKey(0))


@pytest.fixture(scope="module")
def oracle():
    return Oracle("safe_pendulum")


@pytest.fixture(scope="module")
def env(oracle):
    return sw.SafeguardWrapper(sw.envs.get_environment("safe_pendulum"), sw.BoundaryProjection())


def judged_step(oracle, x, state):
    """One step from a state of S: what was executed, in float64."""
    record = state.info["safeguard"]
    unsafe = oracle.of_action(x, np.asarray(record["action"]))
    if unsafe:
        return UNSAFE, unsafe
    return (RIGHT, "") if record["inside"] == 1 else (WRONG, "left the safe set")


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (few(actions(1, number=True)), 26),
        pytest.param(actions(1, number=True), 55, marks=pytest.mark.slow),
    ],
    ids=["few", "all"],
)
def test_actions(env, oracle, values, count):
    x = (oracle.edge * (1 - 1e-6)).astype(np.float32)
    start = env.reset_to(x, KEY)
    judge = functools.partial(judged_step, oracle, x)
    cases = [
        Case(name, functools.partial(env.step, start, value), judge if taken else None, "action")
        for name, (value, taken) in values.items()
    ]
    check(cases, count)


def test_starts_at_a_given_state(env, oracle):
    """A state outside is an error, and a state of little precision becomes float32."""

    def run(x):
        state = env.reset_to(x, KEY)
        return state, env.step(state, np.ones(1, np.float32))

    def judge(x, result):
        state, after = result
        if not oracle.inside(numbers(x)):
            return WRONG, f"an episode starts at {x}"
        if state.obs.dtype != np.float32:
            return WRONG, f"the observation is {state.obs.dtype}"
        return judged_step(oracle, numbers(x), after)

    cases = []
    for name, (x, taken) in states(oracle.edge).items():
        wanted = taken and oracle.inside(numbers(x))
        judge_ = functools.partial(judge, x) if wanted else None
        cases.append(Case(name, functools.partial(run, x), judge_, "`x`"))
    check(cases, 42)


def test_a_start_outside_is_flagged_inside_jit(env, oracle):
    state = jax.jit(env.reset_to)((oracle.edge * 1.01).astype(np.float32), KEY)
    assert state.info["safeguard"]["inside"] == 0


NO_KEYS = {
    "None": None,
    "int": 0,
    "floats": np.zeros(2, np.float32),
    "int64": np.zeros(2, np.int64),
    "int32": np.zeros(2, np.int32),
    "three words": np.zeros(3, np.uint32),
    "batch": np.zeros((4, 2), np.uint32),
    "batch of new keys": jax.random.split(jax.random.key(0), 3),
    "str": "seed",
    "list": [0, 1],
}
KEYS = {"raw": KEY, "new": jax.random.key(0), "JAX": jax.random.PRNGKey(1)}


def test_keys(env, oracle):
    def judge(state):
        inside = state.info["safeguard"]["inside"]
        return (RIGHT, "") if inside.shape == () and inside == 1 else (WRONG, f"inside {inside}")

    x = np.zeros(2, np.float32)
    cases = [
        *(
            Case(f"reset {name}", functools.partial(env.reset, key), judge)
            for name, key in KEYS.items()
        ),
        *(
            Case(f"reset {name}", functools.partial(env.reset, key), None, "`rng`")
            for name, key in NO_KEYS.items()
        ),
        *(
            Case(f"reset_to {name}", functools.partial(env.reset_to, x, key), None, "`rng`")
            for name, key in NO_KEYS.items()
        ),
    ]
    check(cases, 23)


REFUSED_OPTIONS = [
    ("regularisation", np.nan),
    ("regularisation", -1),
    ("regularisation", np.inf),
    ("regularisation", "0.1"),
    ("regularisation", None),
    ("regularisation", True),
    ("regularisation", np.ones(2)),
    ("diagnostics", "no"),
    ("diagnostics", 1),
    ("monitor", 1),
    ("monitor", None),
    ("reset_to", 5),
    ("reset_to", "zero"),
    ("system", 3),
    ("system", "safe_pendulum"),
]


def test_construction(env):
    bare = env.env
    two = sw.envs.get_environment("safe_quadrotor").system

    def make(env=bare, safeguard=sw.BoundaryProjection(), **options):  # noqa: B008
        return sw.SafeguardWrapper(env, safeguard, **options)

    cases = [
        Case(f"{name} = {value}", functools.partial(make, **{name: value}), None, f"`{name}`")
        for name, value in REFUSED_OPTIONS
    ]
    cases += [
        Case("system of two actions", functools.partial(make, system=two), None, "1 action(s)"),
        Case("safeguard class", lambda: make(safeguard=sw.BoundaryProjection), None, "`safeguard`"),
        Case("safeguard str", lambda: make(safeguard="ray_mask"), None, "`safeguard`"),
        Case("safeguard None", lambda: make(safeguard=None), None, "`safeguard`"),
        Case("env None", lambda: make(None), None, "`env`"),
        Case("env str", lambda: make("safe_pendulum"), None, "`env`"),
        Case("safeguarded twice", lambda: make(env), None, "`env`"),
        Case("another `sys`", lambda: setattr(env, "sys", None), None, "`sys`"),
        Case("regularisation 0.1", lambda: make(regularisation=0.1), right),
        Case("regularisation of NumPy", lambda: make(regularisation=np.float32(1)), right),
        Case("system None", lambda: make(system=None), right),
    ]
    check(cases, 26)


def test_options_of_safeguards():
    projection, ray, gauge = sw.BoundaryProjection, sw.RayMask, sw.GaugeMap
    cases = [
        Case("alpha NaN", lambda: projection(gradient=sw.Blend(float("nan"))), None, "`alpha`"),
        Case("alpha 2", lambda: projection(gradient=sw.Blend(2)), None, "`alpha`"),
        Case("alpha str", lambda: projection(gradient=sw.Blend("0.5")), None, "`alpha`"),
        Case("alpha array", lambda: projection(gradient=sw.Blend(np.ones(3))), None, "`alpha`"),
        Case("gradient None", lambda: projection(gradient=None), None, "`gradient`"),
        Case("gradient 3", lambda: projection(gradient=3), None, "`gradient`"),
        Case("gradient misspelt", lambda: projection(gradient="exat"), None, "`gradient`"),
        Case("gradient of another", lambda: ray(gradient="inward"), None, "`gradient`"),
        Case("mapping", lambda: ray("cubic"), None, "gradient"),
        Case("mapping by name", lambda: ray(mapping="cubic"), None, "`mapping`"),
        Case("centre of a gauge map", lambda: gauge(center="origin"), None, "`center`"),
        Case("centre an array", lambda: gauge(center=np.zeros(2)), None, "`center`"),
        Case("unknown name", lambda: make_safeguard("projection"), None, "`safeguard`"),
        Case("name None", lambda: make_safeguard(None), None, "`safeguard`"),
        Case("unknown option", lambda: make_safeguard("ray_mask", width=3), None, "'width'"),
        Case("alpha of JAX", lambda: projection(gradient=sw.Blend(jnp.float32(0.5))), right),
    ]
    check(cases, 16)
