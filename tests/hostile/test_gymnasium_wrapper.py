"""`GymSafeguardWrapper` over a plant in float64 NumPy: action spaces of every dtype, offset and
scale, every action, and plants whose state is nonsense.
"""

import functools

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hostile.oracle import Oracle
from hostile.tally import CLEAR, FLAGGED, RIGHT, UNSAFE, WRONG, Case, check
from hostile.values import actions
from plants import pendulum

import safe_wrappers as sw


class Plant(gymnasium.Env):
    """The pendulum in float64, under the worst disturbance, with any action space."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)

    def __init__(self, low=-1.0, high=1.0, dtype=np.float32, space=None):
        bounds = np.full(1, low, dtype), np.full(1, high, dtype)
        self.action_space = spaces.Box(*bounds, (1,), dtype) if space is None else space
        self.x = np.zeros(2)
        self.got = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = np.zeros(2)
        return self.x.copy(), {}

    def unit(self):
        """What was executed, in units of [-1, 1]."""
        low, high = np.float64(self.action_space.low), np.float64(self.action_space.high)
        return (np.float64(self.got) - (low + high) / 2) / ((high - low) / 2)

    def step(self, action):
        self.got = np.array(action)
        if isinstance(self.x, np.ndarray) and self.x.shape == (2,):
            w = np.float64(np.float32(0.1)) * np.sign(self.x[:1] if self.x[0] else 1.0)
            with np.errstate(invalid="ignore"):
                self.x = pendulum(self.x.astype(np.float64), self.unit(), np.atleast_1d(w))
        return np.zeros(2), 0.0, False, False, {}


@pytest.fixture(scope="module")
def oracle():
    return Oracle("safe_pendulum")


@pytest.fixture(scope="module")
def system(oracle):
    return sw.ModelSystem(oracle.system.certificate, state=lambda env: env.x)


def wrapped(system, plant):
    return sw.GymSafeguardWrapper(plant, sw.BoundaryProjection(), system=system)


def soak(oracle, system, plant, steps):
    return run_bang_bang(oracle, wrapped(system, plant), steps)


def run_bang_bang(oracle, env, steps):
    """At the boundary of S every second request is unsafe."""
    plant = env.unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    low, high = plant.action_space.low, plant.action_space.high
    side = high
    for i in range(steps):
        if i % 8 == 0:
            side = high if rng.uniform() < 0.5 else low
        before = plant.x
        _, _, _, _, info = env.step(side)
        executed = plant.unit()
        record = info["safeguard"]
        if not np.array_equal(record["action"], plant.got):
            return WRONG, f"reports {record['action']}, executed {plant.got}"
        if not oracle.inside(plant.x) or np.abs(executed).max() > 1 + 1e-12:
            return UNSAFE, f"at {before} executed {executed}, step {i}, {record}"
    return RIGHT, ""


SPACES = [
    (dtype, offset, scale)
    for dtype in (np.float16, np.float32, np.float64)
    for offset in (0.0, 1.0, 1e3, 1e5, 1e6)
    for scale in (1e-42, 1e-30, 0.3, 1.0, 30.0, 1e4, 1e30)
]


def space_cases(oracle, system, grid, steps):
    for dtype, offset, scale in grid:
        with np.errstate(over="ignore"):
            low, high = dtype(offset - scale), dtype(offset + scale)
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            continue
        name = f"{np.dtype(dtype).name} [{low}, {high}]"
        plant = Plant(low, high, dtype)
        call = functools.partial(soak, oracle, system, plant, steps)
        yield Case(name, call, lambda result: result, "The action space")


def test_action_spaces(oracle, system):
    """The certificate has room to tighten the rows by the rounding of the last two."""
    grid = [
        (np.float32, 0.0, 1.0),
        (np.float32, 0.0, 30.0),
        (np.float64, 1e6, 1.0),
        (np.float32, 1e3, 1.0),
        (np.float16, 0.0, 30.0),
    ]
    assert check(space_cases(oracle, system, grid, 120), 5) == {RIGHT: 5}


@pytest.mark.parametrize(("dtype", "offset", "scale"), [(np.float32, 1e3, 1), (np.float16, 0, 30)])
def test_without_tighter_rows_a_coarse_space_rounds_safe_actions_to_unsafe_ones(
    oracle, system, dtype, offset, scale
):
    plant = Plant(dtype(offset - scale), dtype(offset + scale), dtype)
    env = wrapped(system, plant)
    assert env._verified is not system
    env.__dict__["_verified"] = system
    assert run_bang_bang(oracle, env, 120)[0] == UNSAFE


def test_coarse_action_spaces_are_refused(oracle, system):
    grid = [
        (np.float16, 0.0, 1.0),
        (np.float32, 1e5, 1.0),
        (np.float32, 1e6, 1.0),
        (np.float32, 0.0, 1e-42),
        (np.float64, 1e6, 1e-7),
    ]
    assert check(space_cases(oracle, system, grid, 1), 5) == {CLEAR: 5}


@pytest.mark.slow
def test_every_action_space(oracle, system):
    tally = check(space_cases(oracle, system, SPACES, 1500), 66)
    assert tally[RIGHT] >= 30


def test_other_action_spaces_are_refused(system):
    others = {
        "discrete": spaces.Discrete(2),
        "unbounded": spaces.Box(-np.inf, np.inf, (1,)),
        "of integers": spaces.Box(-1, 1, (1,), np.int32),
        "of two": spaces.Box(-1, 1, (2,)),
        "of shape ()": spaces.Box(-1, 1, ()),
        "of one number": spaces.Box(np.float32(1), np.float32(1), (1,)),
        "infinitely wide": spaces.Box(-1e308, 1e308, (1,), np.float64),
        "dictionary": spaces.Dict({"a": spaces.Box(-1, 1)}),
    }
    cases = [
        Case(name, functools.partial(wrapped, system, Plant(space=space)), None, "action space")
        for name, space in others.items()
    ]
    check(cases, 8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions(oracle, system, dtype):
    env = wrapped(system, Plant(dtype=dtype))
    env.reset(seed=0)
    x = oracle.edge * (1 - 1e-4)

    def run(value):
        env.unwrapped.x = x
        return env.step(value)[-1]["safeguard"]

    def judge(record):
        unsafe = oracle.of_action(x, env.unwrapped.got)
        if unsafe or record["inside"] != 1:
            return UNSAFE, f"{unsafe} {record}"
        return RIGHT, ""

    cases = [
        Case(name, functools.partial(run, value), judge if taken else None, "action")
        for name, (value, taken) in actions(1).items()
    ]
    check(cases, 55)


def test_states_of_the_plant(oracle, system):
    """A state that is not finite is flagged; one that is no state is an error, and nothing runs."""
    env = wrapped(system, Plant())
    env.reset(seed=0)

    def run(x):
        env.unwrapped.x = x
        env.unwrapped.got = None
        return env.step(np.ones(1, np.float32))[-1]["safeguard"]

    def judge(record):
        got = env.unwrapped.got
        if not np.isfinite(got).all() or np.abs(got).max() > 1:
            return UNSAFE, f"executed {got}"
        if record["fallback"] != 1 or record["inside"] != 0:
            return WRONG, f"{record}"
        return FLAGGED, ""

    def within(record):
        return (RIGHT, "") if record["inside"] == 1 else (WRONG, f"{record}")

    flagged = {
        "NaN": np.full(2, np.nan),
        "one NaN": np.array([0.0, np.nan]),
        "inf": np.full(2, np.inf),
        "1e300": np.full(2, 1e300),
    }
    taken = {
        "float16": np.zeros(2, np.float16),
        "int": np.zeros(2, int),
        "bool": np.zeros(2, bool),
        "float32": np.zeros(2, np.float32),
    }
    refused = {
        "None": None,
        "str": "ab",
        "too long": np.zeros(3),
        "number": 0.0,
        "complex": np.zeros(2, complex),
        "masked": np.ma.masked_array(np.zeros(2), [True, False]),
        "objects": np.array([None, 0.0], object),
    }
    cases = [Case(name, functools.partial(run, x), judge) for name, x in flagged.items()]
    cases += [Case(name, functools.partial(run, x), within) for name, x in taken.items()]
    for name, x in refused.items():
        word = "`x`" if name in ("too long", "number") else "`system.state(env)`"
        cases.append(Case(name, functools.partial(run, x), None, word))
    check(cases, 15)


def test_nothing_is_executed_at_a_state_that_is_none(system):
    env = wrapped(system, Plant())
    env.reset(seed=0)
    env.unwrapped.x = None
    with pytest.raises(sw.SetDimensionError, match=r"`system.state\(env\)` is None"):
        env.step(np.ones(1, np.float32))
    assert env.unwrapped.got is None


def test_construction(system):
    def make(env=None, safeguard=sw.BoundaryProjection(), **options):  # noqa: B008
        plant = Plant() if env is None else env
        return sw.GymSafeguardWrapper(plant, safeguard, **{"system": system, **options})

    refused = [
        ("env", "pendulum"),
        ("env", 3),
        ("safeguard", sw.BoundaryProjection),
        ("safeguard", None),
        ("system", None),
        ("system", 3),
        ("set_state", 5),
        ("regularisation", np.nan),
        ("regularisation", -1),
        ("regularisation", "0.1"),
        ("regularisation", np.ones(2)),
        ("monitor", 1),
        ("monitor", "yes"),
    ]
    cases = [
        Case(f"{name} = {value}", functools.partial(make, **{name: value}), None, f"`{name}`")
        for name, value in refused
    ]
    check(cases, 13)
