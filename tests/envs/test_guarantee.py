"""What every construction says of its own safety: "proved" only if the library's own methods step
the very model of a claim that is proved, behind the library's own verified call.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mutants import AnotherPlant, replacing

import safe_wrappers as sw
from safe_wrappers import envs
from safe_wrappers.certificates import Guarantee, ProofRecord
from safe_wrappers.certificates._result import PROVER
from safe_wrappers.envs import SafePendulum, SafeSeeker, dynamics
from safe_wrappers.models import enclosed

GUARD = sw.BoundaryProjection()
SAYS_SO = Guarantee("proved", "I say so")


def pendulum(kind=SafePendulum, **options):
    return kind(safe_set="narrow", **options)


class Mine(envs.ModelEnv):
    """A task of a user's own on given parts."""

    observation_size = 2

    def observe(self, x, info):
        return x

    def reward(self, x, action, info):
        return -jnp.sum(x * x)


@functools.cache
def claim():
    """Of the pendulum, proved here: another one than any that is shipped."""
    narrow = envs.load_certificate("safe_pendulum", "narrow").claim
    found = dataclasses.replace(narrow, sigma=1.9e-4)
    assert sw.prove(found).proved
    return found


def system(promise=None, state=envs.joint_state):
    return sw.ModelSystem(promise or claim(), state=state)


def mine(**changes):
    parts = {
        "model": claim().model,
        "system": system(),
        "disturbance_set": claim().disturbance_set,
    }
    return Mine(**{**parts, **changes})


def statuses(env):
    """Of the environment, and of a safeguard around it."""
    return env.guarantee.status, sw.SafeguardWrapper(env, GUARD).guarantee.status


@pytest.mark.parametrize(
    ("name", "safe_set"),
    [
        (name, safe_set)
        for name in envs.registered_names()
        for safe_set in envs.certificate_names(name)
    ],
)
def test_every_shipped_set_is_proved(name, safe_set):
    env = envs.get_environment(name, safe_set=safe_set)
    assert statuses(env) == ("proved", "proved")
    assert env.guarantee == sw.SafeguardWrapper(env, GUARD).guarantee
    # Of arms also that their mass matrix is one.
    assert len(env.guarantee.assumptions) == (4 if name == "safe_arm" else 3)


@pytest.mark.smoke
def test_the_seeker_is_certified_by_its_lemma():
    env = SafeSeeker()
    assert statuses(env) == ("certified", "certified")
    assert "the lemma in safe_wrappers.envs.seeker" in env.guarantee.by


class OtherTask(SafePendulum):
    """What a user may well change: the task, and where episodes start."""

    def observe(self, x, info):
        return 2 * super().observe(x, info)

    def reward(self, x, action, info):
        return jnp.zeros(())

    def task_info(self, x, key):
        return {"colour": jnp.ones(())}

    def sample_initial(self, key):
        return 0.5 * super().sample_initial(key)

    def reset(self, rng):
        return super().reset(rng)


PROVED = {
    "a claim proved in this process": lambda: OwnEnv(claim()),
    "parts of one claim": mine,
    "without disturbances": lambda: pendulum(disturbance="none"),
    "the worst disturbances": lambda: pendulum(disturbance="worst_case"),
    "another task": lambda: pendulum(OtherTask),
    "the enclosing model itself": lambda: enclosing_env(),
}


class OwnEnv(envs.CertifiedEnv, Mine):
    """A certified environment of a user's own."""


@functools.cache
def enclosing_claim():
    """About a model that contains the pendulum, up to 1e-6 in each state."""
    model, narrow = enclosed(dynamics.pendulum(), np.full(2, 1e-6, np.float32)), claim()
    found = sw.Claim(
        model,
        safe_state_set=narrow.safe_state_set,
        constraint_set=narrow.constraint_set,
        disturbance_set=model.disturbances(narrow.disturbance_set),
        sigma=1.5e-4,
    )
    assert sw.prove(found).proved
    return found


def enclosing_env(**changes):
    found = enclosing_claim()
    return mine(
        **{
            "model": found.model,
            "system": system(found),
            "disturbance_set": found.disturbance_set,
            **changes,
        }
    )


@pytest.mark.parametrize("make", PROVED.values(), ids=PROVED)
def test_what_is_proved(make):
    assert statuses(make()) == ("proved", "proved")


DECIDING = (
    "step",
    "reset_to",
    "adversaries",
    "backend",
    "_deviation",
    "_draw_disturbance",
    "_pipeline_init",
    "_pipeline_step",
    "_promised",
    "_report",
)


@pytest.mark.parametrize("name", DECIDING)
def test_a_subclass_that_replaces_what_decides_is_tested(name):
    env = pendulum(replacing(SafePendulum, name))
    assert statuses(env) == ("tested", "tested")
    assert f"`Mine` replaces `{name}` of the library" in env.guarantee.by
    patched = pendulum()
    vars(patched)[name] = getattr(patched, name)
    assert statuses(patched) == ("tested", "tested")


class ActionRepeat(SafePendulum):
    """Holds the executed action for three steps of the model."""

    def _pipeline_step(self, pipeline_state, x, action, w):
        for _ in range(2):
            x = self.model.step(x, action, w)
        return super()._pipeline_step(pipeline_state, x, action, w)


class Elsewhere(SafePendulum):
    """Another disturbance set from its constructor on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.disturbance_set = sw.Box.symmetric([20.0])


class OtherSystem(SafePendulum):
    """Another system from its constructor on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.system = system()


class SubSystem(sw.ModelSystem):
    """May compute other rows."""


class TrustMe(sw.ModelSystem):
    guarantee = SAYS_SO  # pyright: ignore[reportAssignmentType]


def zonotope_system():
    generators = envs.load_certificate("safe_pendulum", "walter2025").claim.generators
    return sw.ZonotopeSystem(
        claim().model,
        safe_state_set=generators,
        constraint_set=claim().constraint_set,
        disturbance_set=claim().disturbance_set,
        state=envs.joint_state,
    )


def explicit_system():
    return sw.ExplicitSystem(
        action_size=1,
        rows=lambda x: (jnp.zeros((1, 1)), jnp.ones(1)),
        margin=lambda x: jnp.ones(()),
        sample_initial=lambda key: jnp.zeros(2),
        state=envs.joint_state,
    )


class ScaledDisturbance(SafeSeeker):
    def __init__(self):
        super().__init__()
        self.disturbance_set = sw.Box.symmetric([1.0, 1.0])


class FasterSeeker(SafeSeeker):
    def __init__(self):
        super().__init__()
        self.model = dynamics.seeker(speed=2.0)


class CarelessSeeker(SafeSeeker):
    """Rows that admit everything."""

    def __init__(self):
        super().__init__()
        rows = lambda x: (jnp.zeros((1, 2)), jnp.ones(1))  # noqa: E731
        self.system = dataclasses.replace(self.system, rows=rows)


class CrowdedSeeker(SafeSeeker):
    """Layouts without the lemma's gaps."""

    def sample_initial(self, key):
        return jnp.array([0.0, 0.0, 2.2, 0.0, 2.0, -2.2, 0.0, 2.0])


TESTED = {
    "another model": lambda: mine(model=dynamics.pendulum(gravity=25.0)),
    "an equal model": lambda: mine(model=dynamics.pendulum()),
    "a larger disturbance set": lambda: mine(disturbance_set=sw.Box.symmetric([20.0])),
    "an equal disturbance set": lambda: mine(disturbance_set=sw.Box.symmetric([0.1])),
    "a state that is read otherwise": lambda: mine(
        system=system(state=lambda state: 0 * envs.joint_state(state))
    ),
    "a model from the constructor": lambda: pendulum(AnotherPlant, model=dynamics.pendulum()),
    "a disturbance set from the constructor": lambda: pendulum(Elsewhere),
    "a system from the constructor": lambda: pendulum(OtherSystem),
    "action repeat": lambda: pendulum(ActionRepeat),
    "a function for the disturbance": lambda: pendulum(
        disturbance=lambda key, x, a: jnp.array([20.0])
    ),
    "the inner model of an enclosing one": lambda: enclosing_env(
        model=enclosing_claim().model.inner  # pyright: ignore[reportAttributeAccessIssue]
    ),
    "a subclass of the system": lambda: mine(system=SubSystem(claim(), state=envs.joint_state)),
    "a system that says so": lambda: mine(system=TrustMe(claim(), state=envs.joint_state)),
    "a zonotope": lambda: mine(system=zonotope_system()),
    "explicit rows": lambda: mine(system=explicit_system()),
    "another rounding allowance": lambda: OwnEnv(dataclasses.replace(claim(), eps=0.0)),
    "less disturbance than was proved": lambda: OwnEnv(
        dataclasses.replace(claim(), disturbance_set=sw.Box.symmetric([0.0]))
    ),
    "a larger set": lambda: OwnEnv(
        dataclasses.replace(claim(), safe_state_set=claim().safe_state_set.scaled(1.5))
    ),
    "another seeker's disturbances": ScaledDisturbance,
    "another seeker's speed": FasterSeeker,
    "another seeker's rows": CarelessSeeker,
    "another seeker's layouts": CrowdedSeeker,
    "Brax's physics": lambda: pendulum(backend="generalized"),
    "MuJoCo's physics": lambda: pendulum(backend="mjx"),
}


@pytest.mark.parametrize("make", TESTED.values(), ids=TESTED)
def test_what_is_tested(make):
    env = make()
    assert statuses(env) == ("tested", "tested")
    assert "this very model" not in env.guarantee.by


@pytest.mark.parametrize("name", ["model", "system", "disturbance_set", "step", "guarantee", "new"])
def test_nothing_can_be_assigned_after_construction(name):
    env = pendulum()
    with pytest.raises(AttributeError):
        setattr(env, name, getattr(env, name, None))
    assert env.guarantee.status == "proved"


def test_no_disturbance_must_be_one_in_w():
    off = sw.Claim(
        dynamics.pendulum(),
        safe_state_set=claim().safe_state_set,
        constraint_set=claim().constraint_set,
        disturbance_set=sw.Box([0.05], [0.1]),
    )
    with pytest.raises(ValueError, match="'none' means w = 0, which must lie in W, but W is from"):
        OwnEnv(off, disturbance="none")
    assert OwnEnv(off).guarantee.status == "tested"


@pytest.mark.parametrize(
    ("changes", "status"),
    [({}, "certified"), ({"prover": "1"}, "certified"), (None, "tested")],
    ids=["its own record", "an older prover's record", "no record"],
)
def test_a_file_is_what_its_record_says(tmp_path, changes, status):
    narrow = envs.load_certificate("safe_pendulum", "narrow").claim
    found = dataclasses.replace(narrow, sigma=1.8e-4)
    record = ProofRecord(PROVER, found.digest, found.program, cells=8, margin=2e-4)
    path = tmp_path / "mine.json"
    proof = None if changes is None else record._replace(**changes)
    sw.Certificate(found, "mine", proof=proof).save(path)
    assert statuses(SafePendulum(safe_set=str(path))) == (status, status)


def test_a_status_that_is_too_good_would_be_noticed():
    """The tested constructions above do leave their sets: action repeat, for one."""
    env = sw.SafeguardWrapper(pendulum(ActionRepeat), GUARD)
    x = 0.99 * jnp.asarray(env.system.safe_state_set.vertices(), jnp.float32)
    keys = jax.random.split(jax.random.PRNGKey(0), len(x))
    step = jax.jit(jax.vmap(lambda x, key, a: env.step(env.reset_to(x, key), a)))
    left = [
        np.asarray(step(x, keys, jnp.full((len(x), 1), a)).metrics["safeguard/left_set_per_step"])
        for a in (-1.0, 1.0)
    ]
    assert np.max(left) == 1
