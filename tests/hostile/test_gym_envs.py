"""`GymEnv`, `GymVectorEnv`, `gymnasium.make` and `make_vec`: every value for the action, the start,
the seed and the options.
"""

import functools

import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from hostile.oracle import Oracle
from hostile.tally import RIGHT, UNSAFE, WRONG, Case, check, right
from hostile.values import actions, few, numbers, states

import safe_wrappers as sw

PENDULUM = "SafeWrappers/Pendulum-v0"
NUM = 3


@pytest.fixture(scope="module")
def oracle():
    return Oracle("safe_pendulum")


@pytest.fixture(scope="module")
def env():
    return gymnasium.make(PENDULUM)


@pytest.fixture(scope="module")
def many():
    return gymnasium.make_vec(PENDULUM, num_envs=NUM, autoreset_mode="SameStep")


def judged(oracle, x, result):
    record = result[-1]["safeguard"]
    for executed in np.reshape(record["action"], (-1, 1)):
        unsafe = oracle.of_action(x, executed)
        if unsafe:
            return UNSAFE, unsafe
    return (RIGHT, "") if np.all(record["inside"] == 1) else (UNSAFE, "left the safe set")


def test_actions(env, oracle):
    x = (oracle.edge * (1 - 1e-5)).astype(np.float32)

    def run(value):
        env.reset(options={"x": x})
        return env.step(value)

    judge = functools.partial(judged, oracle, x)
    cases = [
        Case(name, functools.partial(run, value), judge if taken else None, "action")
        for name, (value, taken) in actions(1).items()
    ]
    check(cases, 55)


def tiled(value):
    """The same request for each of the copies."""
    if isinstance(value, np.ma.MaskedArray):
        return np.ma.concatenate([value[None]] * NUM)
    if isinstance(value, np.ndarray) and value.shape == (1,):
        return np.tile(value, (NUM, 1))
    if hasattr(value, "at"):
        return jnp.tile(value, (NUM, 1))
    return [value] * NUM if isinstance(value, list | tuple) else value


def test_actions_of_many(many, oracle):
    x = (oracle.edge * (1 - 1e-5)).astype(np.float32)

    def run(value):
        many.reset(options={"x": x})
        return many.step(value)

    judge = functools.partial(judged, oracle, x)
    cases = [
        Case(name, functools.partial(run, tiled(value)), judge if taken else None, "action")
        for name, (value, taken) in few(actions(1)).items()
        if name != "rank 2"  # which is of the right shape when it is tiled
    ]
    check(cases, 25)


def test_starts_at_a_given_state(env, oracle):
    def run(x):
        return env.reset(options={"x": x}), env.step(np.ones(1, np.float32))

    def judge(x, result):
        (_, start), after = result
        if start["safeguard"]["inside"] != 1 or not oracle.inside(np.asarray(start["state"])):
            return WRONG, "starts outside"
        return judged(oracle, x, after)

    cases = []
    for name, (x, taken) in states(oracle.edge).items():
        wanted = taken and oracle.inside(numbers(x))
        judge_ = functools.partial(judge, numbers(x)) if wanted else None
        cases.append(Case(name, functools.partial(run, x), judge_, "`options['x']`"))
    check(cases, 42)


SEEDS_REFUSED = {"-1": -1, "1.5": 1.5, "str": "a", "bool": True, "complex": 1j, "array": np.ones(1)}
SEEDS_TAKEN = {"0": 0, "2^32": 2**32, "2^64": 2**64, "of NumPy": np.int64(3), "None": None}


def test_seeds(env, many):
    cases = [
        *(
            Case(f"{of} {name}", functools.partial(e.reset, seed=seed), right)
            for of, e in (("one", env), ("many", many))
            for name, seed in SEEDS_TAKEN.items()
        ),
        *(
            Case(f"{of} {name}", functools.partial(e.reset, seed=seed), None, "`seed")
            for of, e in (("one", env), ("many", many))
            for name, seed in SEEDS_REFUSED.items()
        ),
        Case("a list", lambda: many.reset(seed=[1, None, 3]), right),
    ]
    cases += [
        Case(f"many {seed}", functools.partial(many.reset, seed=seed), None, "`seed")
        for seed in ([1, 2], [1.7, 2.2, 3.1], "abc", [True, 1, 2], [1, 2, -3], np.ones(3))
    ]
    check(cases, 29)


def test_reset_options(env, many):
    one = {
        "unknown": {"y": 1},
        "misspelt": {"X": [0.0, 0.0]},
        "a list": [1],
        "str": "x",
        "x None": {"x": None},
        "mask of one": {"reset_mask": [True]},
        "key None": {None: 1},
    }
    several = {
        "unknown": {"y": 1},
        "x of two": {"x": np.zeros((2, 2))},
        "x NaN": {"x": np.full((3, 2), np.nan)},
        "x complex": {"x": np.zeros((3, 2), complex)},
        "mask of ints": {"reset_mask": np.ones(3, int)},
        "mask of none": {"reset_mask": np.zeros(3, bool)},
        "short mask": {"reset_mask": np.ones(2, bool)},
        "mask None": {"reset_mask": None},
        "mask str": {"reset_mask": "all"},
    }
    taken = [
        (env, {}),
        (env, {"x": [0.0, 0.0]}),
        (many, {"x": np.zeros((3, 2))}),
        (many, {"x": np.zeros(2)}),
        (many, {"reset_mask": [True, False, True]}),
    ]
    many.reset(seed=0)
    cases = [
        Case(f"one, {name}", functools.partial(env.reset, options=options), None, "options")
        for name, options in one.items()
    ]
    cases += [
        Case(f"many, {name}", functools.partial(many.reset, options=options), None, "options")
        for name, options in several.items()
    ]
    cases += [
        Case(f"taken {options}", functools.partial(e.reset, options=options), right)
        for e, options in taken
    ]
    check(cases, 21)


def test_construction(env, many):
    inner = env.unwrapped.env
    refused = [
        ("num_envs", 0),
        ("num_envs", -1),
        ("num_envs", 1.5),
        ("num_envs", "3"),
        ("num_envs", True),
        ("num_envs", None),
        ("max_episode_steps", 0),
        ("max_episode_steps", float("nan")),
        ("max_episode_steps", 2.5),
        ("max_episode_steps", "240"),
        ("autoreset_mode", "Sometimes"),
        ("autoreset_mode", None),
        ("array", "tf"),
        ("array", None),
        ("array", np.ndarray),
        ("render_mode", "human"),
        ("render_mode", 3),
    ]
    single = [(name, value) for name, value in refused if name in ("array", "render_mode")]
    cases = [
        Case(f"many {name} = {value}", functools.partial(sw.GymVectorEnv, inner, **{name: value}))
        for name, value in refused
    ]
    cases += [
        Case(f"one {name} = {value}", functools.partial(sw.GymEnv, inner, **{name: value}))
        for name, value in single
    ]
    cases = [case._replace(argument=f"`{case.name.split()[1]}`") for case in cases]
    cases += [
        Case("env None", lambda: sw.GymEnv(None), None, "`env`"),
        Case("env str", lambda: sw.GymVectorEnv("safe_pendulum"), None, "`env`"),
        Case("without a picture", lambda: sw.GymEnv(inner, render_mode="rgb_array"), None, "`draw"),
        Case("num_envs of NumPy", lambda: sw.GymVectorEnv(inner, np.int64(2)), right),
    ]
    check(cases, 26)


OPTIONS = [
    ("safe_set", "../../etc/passwd"),
    ("safe_set", "../../../etc/passwd.json"),
    ("safe_set", "ful"),
    ("safe_set", None),
    ("safe_set", 3),
    ("safeguard", "nothing"),
    ("safeguard", 3),
    ("safeguard", ["ray_mask"]),
    ("safeguard_kwargs", [1]),
    ("safeguard_kwargs", "x"),
    ("regularisation", float("nan")),
    ("regularisation", -1),
    ("regularisation", "0.1"),
    ("regularisation", np.ones(2)),
    ("target_angle", float("nan")),
    ("target_angle", float("inf")),
    ("target_angle", 1e30),
    ("target_angle", "0"),
    ("target_angle", np.ones(2)),
    ("disturbance", "sometimes"),
    ("disturbance", None),
    ("backend", "spring"),
    ("initial_states", 5),
    ("array", "tf"),
    ("renderer", "opengl"),
    ("goal", "far"),
]


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec], ids=["make", "make_vec"])
def test_make(make):
    cases = []
    for name, value in OPTIONS:
        word = name if isinstance(value, str) and ".json" in value else f"`{name}`"
        word = "certificate" if "passwd.json" in str(value) else word
        word = "unexpected keyword argument 'goal'" if name == "goal" else word
        call = functools.partial(make, PENDULUM, **{name: value})
        cases.append(Case(f"{name} = {value}", call, None, word))
    cases += [
        Case(
            f"safeguard_kwargs = {options}",
            functools.partial(make, PENDULUM, safeguard_kwargs=options),
            None,
            word,
        )
        for options, word in (
            ({"mapping": "cubic"}, "'mapping'"),
            ({"gradient": np.ones(2)}, "`gradient`"),
            ({"gradient": "exat"}, "`gradient`"),
            ({"gradient": None}, "`gradient`"),
        )
    ]
    cases.append(
        Case(
            "options of no safeguard",
            functools.partial(make, PENDULUM, safeguard=None, regularisation=0.1),
            None,
            "`regularisation`",
        )
    )
    check(cases, 31)


def test_an_unsafeguarded_actuator_rests_where_it_is_told_nothing():
    env = sw.GymEnv(sw.envs.get_environment("safe_pendulum", disturbance="none"))
    after = {}
    for name, action in {"NaN": np.nan, "0": 0.0, "inf": np.inf, "1": 1.0}.items():
        env.reset(options={"x": [0.1, 0.0]})
        after[name] = env.step(np.full(1, action, np.float32))[0]
    np.testing.assert_array_equal(after["NaN"], after["0"])
    np.testing.assert_array_equal(after["inf"], after["1"])
