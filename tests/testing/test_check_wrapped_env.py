"""The public check of safeguarded environments passes the bundled ones, and names what is wrong
with each mutant.
"""

import brax.envs
import gymnasium
import mutants
import pytest
from helpers import RecordingPendulum
from integrators import Integrator

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum, dynamics
from safe_wrappers.testing import check_wrapped_env

WORST = {"safe_set": "narrow", "disturbance": "worst_case"}


@pytest.mark.parametrize(
    "backend",
    [
        "closed_form",
        pytest.param("generalized", marks=pytest.mark.slow),
        pytest.param("mjx", marks=pytest.mark.slow),
    ],
)
def test_the_pendulum_passes_on_every_backend(backend):
    env = sw.SafeguardWrapper(
        SafePendulum(**WORST, backend=backend), sw.BoundaryProjection(), regularisation=0.1
    )
    findings = check_wrapped_env(env).findings
    assert findings["states outside the safe set"] == 0
    assert 0 < findings["least margin for the worst disturbance"] < 1e-4
    assert findings["greatest distance from the model's next states"] < 1e-5
    assert findings["states outside without the safeguard"] > 1000
    assert findings["interventions"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["safe_cart_pole", "safe_quadrotor", "safe_seeker"])
def test_the_other_environments_pass(name):
    report = check_wrapped_env(
        sw.SafeguardWrapper(sw.envs.get_environment(name, disturbance="worst_case"), sw.RayMask())
    )
    assert report.findings["states outside the safe set"] == 0
    assert report.findings["states outside without the safeguard"] > 100


def test_an_environment_without_brax_physics_passes():
    """It has no `sys` that domain randomisation could replace."""
    assert not hasattr(Integrator(), "sys")
    findings = check_wrapped_env(wrap(Integrator()), envs=24, steps=60).findings
    assert findings["states outside the safe set"] == 0
    assert findings["states outside without the safeguard"] > 500


def wrap(env=None, wrapper=sw.SafeguardWrapper, **options):
    return wrapper(env or RecordingPendulum(**WORST), sw.BoundaryProjection(), **options)


def test_a_gymnasium_environment_is_refused():
    with pytest.raises(
        sw.ContractError,
        match=r"must be a `SafeguardWrapper` .* Gymnasium environment `Pendulum.*check_env` for "
        r"the interface, and `safe_wrappers\.conform`",
    ):
        check_wrapped_env(gymnasium.make("Pendulum-v1").unwrapped)


MUTANTS = {
    "bare": (lambda: SafePendulum(**WORST), "must have a `system` and a `safeguard`"),
    "a Brax wrapper": (lambda: brax.envs.Wrapper(wrap()), r"must not be a `brax\.envs\.Wrapper`"),
    "hands out the bare environment": (
        lambda: wrap(wrapper=mutants.SteppedAround),
        "`env.unwrapped` must be `env` itself",
    ),
    "open to domain randomisation": (
        lambda: wrap(wrapper=mutants.OpenToDomainRandomisation),
        "must raise CertificateError",
    ),
    "weak reward": (lambda: wrap(wrapper=mutants.WeakReward), r"must return the same tree.*reward"),
    "dead regularisation": (
        lambda: wrap(wrapper=mutants.DeadRegularisation, regularisation=0.1),
        "The reward must be `safeguard/task_reward` less 0.1",
    ),
    "clamps the state": (lambda: wrap(mutants.Clamped(**WORST)), "must step its system's model"),
    "executes the raw action": (
        lambda: wrap(wrapper=mutants.RawActionReachesThePlant),
        "every state that is reached must lie in it",
    ),
    "starts outside": (
        lambda: wrap(mutants.StartsOutside(**WORST)),
        "An episode must start in the safe set",
    ),
    "steps another plant": (
        lambda: wrap(mutants.AnotherPlant(dynamics.pendulum(dt=0.04), **WORST)),
        "must lie in it",
    ),
    "linearised once": (
        lambda: wrap(system=mutants.SYSTEM_MUTANTS["linearised at a fixed point"]()),
        "must step its system's model|must lie in it",
    ),
    "no disturbance": (
        lambda: wrap(
            system=mutants.SYSTEM_MUTANTS["the disturbance enters through a factor of zero"]()
        ),
        "model|must lie in it",
    ),
    "a safeguard that does nothing": (
        lambda: sw.SafeguardWrapper(SafePendulum(**WORST), mutants.Nothing()),
        "must lie in it|action box",
    ),
}


SLOW = (
    "dead regularisation",
    "starts outside",
    "steps another plant",
    "linearised once",
    "no disturbance",
    "a safeguard that does nothing",
)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in MUTANTS]
)
def test_mutant_environments_fail(name):
    make, message = MUTANTS[name]
    with pytest.raises(sw.ContractError, match=message):
        check_wrapped_env(make(), envs=24, steps=60, baseline=False)
