import functools
import warnings

import brax.envs
import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training
from integrators import MODEL, PUSH, Integrator, system
from mutants import AnotherPlant

import safe_wrappers as sw
from safe_wrappers.certificates import Claim
from safe_wrappers.envs import SafePendulum, dynamics


@functools.cache
def report(**errors):
    return sw.conform(Integrator(**errors), samples=600)


def test_a_disturbance_set_exactly_as_large_as_the_pushes_conforms():
    found = report()
    assert found.conforms
    assert found.uncovered == 0
    assert not found.own_disturbance
    np.testing.assert_allclose(
        [found.total_cover.lower, found.total_cover.upper], [[-PUSH], [PUSH]], atol=1e-6
    )
    assert {name: len(sample) for name, sample in found.parts.items()} == {
        "random": 600,
        "held out": 150,
        "adversarial": 2560,
        "trajectories": 512 * 32,
    }
    assert found.message.startswith("conforms (tested, not proved): in all 19,694 steps W covers")


@pytest.mark.smoke
def test_a_disturbance_set_that_is_too_small_fails_and_the_fitted_one_does_not():
    found = report(push=0.2)
    assert not found.conforms
    assert found.explained
    assert "a disturbance of (" in found.message
    assert "where W is from (-0.125) to (0.125)" in found.message
    np.testing.assert_allclose(found.fitted.upper, [0.2 + 0.1 * 0.4], rtol=1e-4)
    wider = system(found.fitted)
    assert sw.conform(Integrator(push=0.2), wider, samples=600).conforms
    narrower = system(sw.Box.symmetric([0.199]))
    assert not sw.conform(Integrator(push=0.2), narrower, samples=600).conforms


def test_a_wrong_gain_of_the_action_is_found():
    found = report(gain=0.51)
    assert not found.conforms
    # The worst is a full action along the push.
    np.testing.assert_allclose(found.total_cover.upper, [PUSH + 0.01], atol=1e-3)


def test_what_no_disturbance_explains_fails_and_cannot_be_fitted():
    found = report(leak=0.01)
    assert not found.conforms
    assert not found.explained
    np.testing.assert_allclose(np.abs(found.all.unexplained).max(axis=0), [0, 0.01], atol=1e-6)
    assert "No disturbance of this model explains it; left of the states is (" in found.message
    with pytest.raises(sw.CertificateError, match="let disturbances enter these states"):
        _ = found.fitted


def test_an_error_in_a_corner_is_found_by_the_search_alone():
    """Random steps miss it: the share of such states is 2.5e-5."""
    found = report(corner=0.05)
    assert not found.random.outside.any()
    assert not found.conforms


def test_an_error_that_the_state_does_not_show_is_found_in_trajectories_alone():
    found = report(fatigue=0.05)
    for name, sample in found.parts.items():
        assert sample.outside.any() == (name == "trajectories")


def test_a_simulator_that_breaks_does_not_conform():
    found = report(broken=True)
    assert not found.conforms
    assert np.isinf(found.total_cover.lower).all()
    assert np.isinf(found.total_cover.upper).all()
    assert not found.explained


def test_disturbances_that_the_environment_draws_itself_leave_no_room_for_errors():
    exact, wrong = report(reports=True), report(reports=True, gain=0.5001)
    assert exact.own_disturbance
    assert exact.conforms
    assert "the model's error is rounding" in exact.message
    np.testing.assert_allclose(exact.total_cover.upper, [0], atol=1e-6)
    # An error that W would cover a thousand times over, if it were not used up.
    assert not wrong.conforms
    np.testing.assert_allclose(wrong.total_cover.upper, [1e-4], rtol=0.01)
    np.testing.assert_allclose(wrong.fitted.upper, [PUSH + 1e-4 + 2e-5], atol=2e-6)
    weak = sw.conform(
        Integrator(push=0.1, gain=0.501, reports=True), samples=600, own_disturbance=False
    )
    assert weak.conforms


def test_drawing_from_more_than_w_does_not_conform():
    found = report(push=0.2, reports=True)
    assert not found.conforms
    assert "drawn was (" in found.message
    assert found.fitted.upper[0] >= 0.2


def test_the_probability_statements():
    found, strong = report(), report(push=0.2)
    # of 750 steps none is uncovered
    assert found.uncovered_probability == pytest.approx(1 - 1e-6 ** (1 / 750))
    assert found.cover_violation == sw.conformance.violation_bound(600, 2, 1 - found.confidence)
    assert strong.uncovered_probability == 1  # every push is
    assert found.held_out_violation <= found.cover_violation
    assert found.held_out.cover().upper[0] <= PUSH + 1e-6


def test_the_same_seed_gives_the_same_report():
    again = sw.conform(Integrator(), samples=600)
    np.testing.assert_array_equal(again.all.disturbance, report().all.disturbance)
    np.testing.assert_array_equal(again.all.x, report().all.x)


def test_only_safe_actions_from_safe_states_are_compared():
    steps = report().all
    assert np.abs(steps.x).max() <= 1
    assert np.abs(steps.action).max() <= 1
    # Safe: no push of W leads out of |x1| <= 1.
    assert np.abs(steps.x[:, 0] + 0.5 * steps.action[:, 0]).max() <= 1 - PUSH + 1e-6
    assert np.abs(steps.action).max() == 1


@pytest.fixture(scope="module")
def pendulum():
    return SafePendulum(safe_set="narrow")


# The closed form is compared by the command line's tests.
@pytest.mark.parametrize(
    "backend",
    [
        "generalized",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("closed_form", "mjx")),
    ],
)
def test_the_pendulum_is_its_model_up_to_a_tenth_of_the_rounding_allowance(backend):
    found = sw.conform(
        sw.SafeguardWrapper(SafePendulum(backend=backend), sw.BoundaryProjection()), samples=2000
    )
    assert found.own_disturbance
    assert found.conforms
    assert found.name == f"SafePendulum on {backend}"
    assert np.abs(found.all.disturbance).max() < 1e-4  # where W is 0.1
    assert np.abs(found.all.disturbance).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *(("safe_cart_pole", backend) for backend in ("closed_form", "generalized", "mjx")),
        ("safe_quadrotor", "closed_form"),
        ("safe_seeker", "closed_form"),
    ],
)
def test_every_bundled_system_is_its_model(name, backend):
    allowance = sw.envs.seeker.ROUNDING if name == "safe_seeker" else None
    assert sw.conform(sw.envs.get_environment(name, backend=backend), allowance=allowance).conforms


@pytest.mark.parametrize(
    "change", [{"mass": 1.01}, pytest.param({"dt": 0.0499}, marks=pytest.mark.slow)], ids=str
)
def test_other_physics_do_not_conform(pendulum, change):
    other = AnotherPlant(dynamics.pendulum(**change), safe_set="narrow")
    found = sw.conform(other, pendulum.system, samples=600)
    assert not found.conforms
    # a mass acts as a force does, a time step does not
    assert found.explained == ("mass" in change)


@pytest.mark.slow
def test_a_brax_environment_is_started_by_its_physics():
    """Brax's own environment, with a model that is not its own: compared, and found not to
    conform.
    """
    claim = Claim(
        dynamics.cart_pole(),
        safe_state_set=sw.Polytope(*sw.Box.symmetric([0.5, 0.1, 0.5, 0.5]).halfspaces()),
        constraint_set=sw.Box.symmetric([1.0, 0.2, np.inf, np.inf]),
        disturbance_set=sw.Box.symmetric([0.1, 0.005]),
    )
    cart_pole = sw.ModelSystem(
        claim,
        state=lambda state: jnp.concatenate([state.pipeline_state.q, state.pipeline_state.qd]),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Brax System, piplines")
        env = brax.envs.get_environment("inverted_pendulum", backend="generalized")
    found = sw.conform(env, cart_pole, samples=100)
    assert not found.conforms
    assert len(found.random) == 100


def test_misuse_is_refused():
    class Unstartable(Integrator):
        reset_to = None

    with pytest.raises(ValueError, match="no `reset_to`; give `start=`"):
        sw.conform(Unstartable())
    with pytest.raises(ValueError, match="No step began in the safe set; `start` must put"):
        sw.conform(Integrator(), samples=5, start=lambda x, key: Integrator().reset_to(x + 5, key))
    with pytest.raises(
        ValueError,
        match=r"must report the disturbance of each step as info\['disturbance'\], shape \(1,\)",
    ):
        sw.conform(Integrator(), own_disturbance=True)
    with pytest.raises(
        sw.WrapperOrderError, match="`env` is a `VmapWrapper`; give the environment inside"
    ):
        sw.conform(training.VmapWrapper(Integrator()))
    with pytest.raises(
        sw.CertificateError, match=r"`PendulumEnv` has no `system`|give `system=...`"
    ):
        sw.conform(gymnasium.make("Pendulum-v1"))
    with pytest.raises(sw.CertificateError, match="`ExplicitSystem` does not have them"):
        sw.conform(sw.envs.SafeSeeker())
    with pytest.raises(
        TypeError, match=r"must be a single environment of Brax or Gymnasium.* but it is a `Model`"
    ):
        sw.conform(MODEL)
    with pytest.raises(ValueError, match="`samples` is 0, but it must be an integer of at least 1"):
        sw.conform(Integrator(), samples=0)
