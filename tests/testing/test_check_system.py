"""The public check of systems passes what is certified, and names what is wrong with each
mutant.
"""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from mutants import ENV, SYSTEM_MUTANTS, system_with

import safe_wrappers as sw
from safe_wrappers.testing import check_system

PLANT = {"model": ENV.model, "disturbance_set": ENV.system.disturbance_set, "states": 256}


@pytest.mark.parametrize(
    ("name", "safe_set"),
    [("safe_cart_pole", "wide"), pytest.param("safe_quadrotor", "wide", marks=pytest.mark.slow)],
)
def test_certified_systems_pass(name, safe_set):
    findings = check_system(sw.envs.get_environment(name, safe_set=safe_set).system).findings
    assert findings["least margin of a state"] < 2e-6
    assert findings["vertices among them"] > 5
    assert findings["interventions"] > 1000
    assert 0 < findings["least margin of a next state"] < 1e-4
    assert findings["least slack of an anchor"] > 1e-3


@pytest.mark.slow
def test_an_explicit_system_passes_with_the_plant_that_it_does_not_hold_itself():
    env = sw.envs.get_environment("safe_seeker")
    obstacles_stay = [True, True] + 6 * [False]
    report = check_system(
        env.system,
        model=env.model,
        disturbance_set=env.disturbance_set,
        moving=obstacles_stay,
        states=256,
    )
    assert 0 < report.findings["least margin of a next state"] < 1e-3
    assert "next states" in report.findings


UNSAFE = (
    "Every safe action must keep the next state|the anchor must lie in the action box and satisfy "
    "every row"
)
EXPECTED = {
    "linearised at a fixed point": UNSAFE,
    "the disturbance enters through a factor of zero": "Every safe action must keep the next state",
    "a placeholder set, a box 100 times too large": "`violation` 0 inside",
    "the constraints as the set, not invariant": "the anchor must lie in the action box and "
    "satisfy every row",
    "another time step": UNSAFE,
}


QUICK = ("linearised at a fixed point", "the constraints as the set, not invariant")


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in SYSTEM_MUTANTS
    ],
)
def test_mutant_systems_fail(mutant):
    with pytest.raises(sw.ContractError, match=EXPECTED[mutant]):
        check_system(SYSTEM_MUTANTS[mutant](), **PLANT)


@pytest.mark.slow
def test_a_placeholder_set_fails_without_constraints_too():
    huge = SYSTEM_MUTANTS["a placeholder set, a box 100 times too large"]().claim
    free = dataclasses.replace(huge, constraint_set=sw.Box.symmetric([jnp.inf, jnp.inf]))
    with pytest.raises(
        AssertionError, match=r"satisfy every row.*state = \[.*The set is not invariant"
    ):
        check_system(sw.ModelSystem(free, state=lambda state: state), states=256)


class Altered:
    """The certified system with some of its parts replaced."""

    def __init__(self, **parts):
        self.__dict__.update(parts)

    def __getattr__(self, name):
        return getattr(ENV.system, name)


def wrong_parts():
    system = ENV.system
    dt = 0.05
    return {
        "margin is the least slack": (
            dict(margin=lambda x: 2 * system.margin(x)),
            "`margin` must be",
        ),
        "NaN counts as inside": (
            dict(margin=lambda x: system.margin(jnp.nan_to_num(x))),
            "`margin` of a NaN state",
        ),
        "NaN violates nothing": (
            dict(violation=lambda x: (system.margin(x) < 0).astype(x.dtype)),
            "`violation` of a NaN state must be 1",
        ),
        "starts outside": (
            dict(sample_initial=lambda key: 1.3 * system.safe_state_set.sample(key)),
            "Initial states must lie in the safe set",
        ),
        "batched": (
            dict(sample_initial=lambda key: system.sample_initial(key)[None]),
            "must return one state, a vector",
        ),
        "no rows": (dict(safe_action_set=lambda x: x), "must return a `SafeActionSet`"),
        "float16": (
            dict(margin=lambda x: system.margin(x).astype(jnp.float16)),
            "float32 like the state",
        ),
        "neutral action": (
            dict(neutral_action=jnp.full(1, 2.0)),
            r"`neutral_action` must have shape \(1,\) and lie in \[-1, 1\]",
        ),
        "no action size": (dict(action_size=0), "`action_size` must be a positive int"),
        "an anchor that is not safe": (
            dict(
                safe_action_set=lambda x: dataclasses.replace(
                    system.safe_action_set(x), anchor=jnp.ones(1)
                )
            ),
            "the anchor must lie",
        ),
        "steps twice": (
            dict(
                model=sw.Model(
                    "two", lambda x, a, w: ENV.model(ENV.model(x, a, w), a, w), 2, 1, 1, {"dt": dt}
                )
            ),
            "Every safe action must keep",
        ),
    }


SLOW_PARTS = ("an unsafe anchor", "steps twice", "margin is the least slack")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW_PARTS else ())
        for name in wrong_parts()
    ],
)
def test_a_wrong_part_is_named(name):
    parts, message = wrong_parts()[name]
    with pytest.raises(sw.ContractError, match=message):
        check_system(Altered(**parts), states=64)


@pytest.mark.smoke
def test_what_is_missing_is_named():
    class Half:
        action_size = 1
        margin = staticmethod(lambda x: x[0])

    with pytest.raises(
        sw.ContractError,
        match=r"it has no \['neutral_action', 'state', 'safe_action_set', 'violation', "
        r"'sample_initial'\]",
    ):
        check_system(Half())


@pytest.mark.slow
def test_a_model_of_another_size_is_refused():
    with pytest.raises(
        sw.ContractError,
        match=r"must have the system's sizes \(2, 1\), but `safe_cart_pole` has others",
    ):
        check_system(
            system_with(),
            model=sw.envs.dynamics.cart_pole(),
            disturbance_set=sw.Box.symmetric([0.1, 0.1]),
            states=64,
        )


@pytest.mark.slow
def test_a_state_without_a_boundary_stays_where_it_is():
    """A component that no margin limits: samples are moved along the others only as far as they can
    be.
    """
    free = Altered(
        margin=lambda x: 1 - jnp.abs(x[0]) + 0 * x[1],
        violation=lambda x: 1 - (jnp.abs(x[0]) + 0 * x[1] <= 1).astype(x.dtype),
        sample_initial=lambda key: jax.random.uniform(key, (2,), minval=-0.9, maxval=0.9),
        safe_action_set=lambda x: sw.SafeActionSet.from_rows(
            jnp.array([[0.1], [-0.1]]), jnp.stack([0.9999 - x[0], 0.9999 + x[0]])
        ),
        model=None,
        safe_state_set=None,
    )
    report = check_system(free, states=64, moving=[False, True])
    assert report.findings["least margin of a state"] > 0.01
    assert report.unchecked == ("the next states: there is no `model` and `disturbance_set`",)
    assert check_system(free, states=64).findings["least margin of a state"] < 1e-5
