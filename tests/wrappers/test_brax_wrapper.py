import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training
from brax.training import acting
from helpers import RecordingPendulum, facets, keys, margins, pendulum_step, recorded, requests
from pipeline_env import STOPPING, arm_plant, arm_system, safe_arm
from third_party import Integrator, IntegratorSystem

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum

METRICS = (
    "intervention_per_step",
    "distance_per_step",
    "infeasible_per_step",
    "fallback_per_step",
    "left_set_per_step",
    "task_reward",
)
RECORD = (
    "requested",
    "action",
    "intervened",
    "changed",
    "distance",
    "feasible",
    "fallback",
    "clipped",
    "margin",
    "inside",
    "violation",
    "task_reward",
)


def safeguarded(regularisation=0.0, **options):
    return sw.SafeguardWrapper(
        SafePendulum(**{"safe_set": "narrow", **options}),
        sw.BoundaryProjection(),
        regularisation=regularisation,
    )


@pytest.fixture(scope="module")
def env():
    return safeguarded()


def signature(tree):
    """Names, shapes, dtypes and weak types of all leaves."""
    return [
        (jax.tree_util.keystr(path), leaf.shape, leaf.dtype, leaf.weak_type)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


@pytest.mark.parametrize("backend", ["closed_form", "generalized", "mjx"])
def test_reset_and_step_return_the_same_tree(backend):
    env = safeguarded(regularisation=0.1, backend=backend)
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    after = jax.eval_shape(env.step, state, jnp.zeros(1))
    assert jax.tree.structure(state) == jax.tree.structure(after)
    assert signature(state) == signature(after)
    assert not any(
        weak
        for *_, weak in signature((state.obs, state.reward, state.done, state.metrics, state.info))
    )


@pytest.mark.gpu
@pytest.mark.smoke
def test_metrics_and_info(env):
    state = jax.eval_shape(env.reset, jax.random.PRNGKey(0))
    assert set(state.metrics) == {f"safeguard/{name}" for name in METRICS} | {
        "left_set_per_step",
        "cost_per_step",
    }
    assert set(state.info["safeguard"]) == set(RECORD)
    assert {"cost", "margin", "disturbance", "key"} <= set(state.info)
    for leaf in jax.tree.leaves((state.metrics, state.info["safeguard"], state.info["cost"])):
        assert leaf.dtype == jnp.float32


@pytest.mark.gpu
def test_the_record_of_a_step():
    """On one recorded rollout: what is reported is what happened."""
    x, executed, info, metrics = recorded("narrow")(keys(3), requests("random", 3))
    guard, H = info["safeguard"], facets(SafePendulum(safe_set="narrow"))
    np.testing.assert_array_equal(guard["action"][..., 0], executed)
    np.testing.assert_array_equal(guard["requested"], requests("random", 3))
    np.testing.assert_array_equal(guard["changed"], executed != guard["requested"][..., 0])
    # boundary projection changes unsafe requests only
    np.testing.assert_array_equal(guard["intervened"], guard["changed"])
    assert 0.1 < guard["intervened"].mean() < 0.9
    np.testing.assert_allclose(
        guard["distance"], np.abs(executed - guard["requested"][..., 0]), rtol=1e-6
    )
    np.testing.assert_allclose(guard["margin"], margins(H, x[1:]), atol=1e-6)
    for name, value in [
        ("intervention", "intervened"),
        ("distance", "distance"),
        ("fallback", "fallback"),
    ]:
        np.testing.assert_array_equal(metrics[f"safeguard/{name}_per_step"], guard[value])
    for zero in (
        "safeguard/infeasible_per_step",
        "safeguard/fallback_per_step",
        "safeguard/left_set_per_step",
        "left_set_per_step",
        "cost_per_step",
    ):
        assert not metrics[zero].any()
    assert guard["inside"].all()
    assert not info["cost"].any()


@pytest.mark.gpu
@pytest.mark.smoke
def test_exits_are_reported():
    """A state outside the set is reported as such, by the wrapper and by the bare environment."""
    env = safeguarded()
    state = env.env.reset_to(jnp.array([0.6, 3.0]), jax.random.PRNGKey(0))
    bare, after = jax.jit(env.env.step)(state, jnp.ones(1)), jax.jit(env.step)(state, jnp.ones(1))
    for reported in (bare, after):
        assert reported.metrics["left_set_per_step"] == 1
        assert reported.info["cost"] == reported.metrics["cost_per_step"] == 1
    assert after.metrics["safeguard/infeasible_per_step"] == 1
    assert after.info["safeguard"]["inside"] == 0


@pytest.mark.gpu
def test_an_unknown_state_gets_the_neutral_action_and_is_flagged(env):
    state = env.reset(jax.random.PRNGKey(0))
    broken = state.replace(pipeline_state=state.pipeline_state.replace(q=jnp.array([jnp.nan])))
    after = jax.jit(env.step)(broken, jnp.array([0.7]))
    guard = after.info["safeguard"]
    np.testing.assert_array_equal(guard["action"], [0.0])
    assert guard["feasible"] == 0
    assert guard["fallback"] == guard["intervened"] == guard["changed"] == 1
    assert after.metrics["left_set_per_step"] == after.metrics["safeguard/left_set_per_step"] == 1


def check_regularisation(env, strength):
    """The reward is the task's minus c |a_s - a|^2, and the difference is there at
    interventions.
    """
    state = env.env.reset_to(jnp.array([0.45, 0.0]), jax.random.PRNGKey(0))
    step = jax.jit(env.step)
    for request in (0.9, 3.0):
        after = step(state, jnp.array([request]))
        guard, task = after.info["safeguard"], after.metrics["safeguard/task_reward"]
        gap = float(guard["action"][0]) - min(request, 1.0)
        assert gap < -0.1
        x = np.asarray(env.system.state(after), np.float64)
        np.testing.assert_allclose(
            task, -(x[0] ** 2 + 0.1 * x[1] ** 2 + 0.001 * float(guard["action"][0]) ** 2), rtol=1e-5
        )
        np.testing.assert_allclose(after.reward - task, -strength * gap**2, rtol=1e-5)


def test_regularisation_is_in_the_reward_and_not_in_the_task_reward():
    check_regularisation(safeguarded(regularisation=0.1), 0.1)
    check_regularisation(safeguarded(), 0.0)


def test_a_dead_regularisation_is_noticed():
    with pytest.raises(AssertionError):
        check_regularisation(safeguarded(), 0.1)


@pytest.mark.parametrize(
    "name", ["env", "system", "safeguard", "regularisation", "start", "_check"]
)
def test_what_compiled_programs_hold_cannot_be_changed(name):
    for env in (safeguarded(), copy.deepcopy(safeguarded())):
        message = f"`{name}` of a `SafeguardWrapper` cannot be changed after construction"
        with pytest.raises(AttributeError, match=message):
            setattr(env, name, None)


@pytest.mark.parametrize("gradient", ["exact", "passthrough"])
def test_regularisation_pushes_the_action_back_into_the_set(gradient):
    """By 2 c |a_s - a|, whatever the derivative of the safe action is said to be."""
    x = jnp.array([0.45, 0.0])

    def loss(a, env):
        return -env.step(env.reset_to(x, jax.random.PRNGKey(0)), a).reward

    envs = [
        sw.SafeguardWrapper(
            SafePendulum(safe_set="narrow"), sw.BoundaryProjection(gradient), regularisation=c
        )
        for c in (0.0, 0.1)
    ]
    plain, regularised = (
        jax.jit(jax.grad(functools.partial(loss, env=env)))(jnp.array([0.9])) for env in envs
    )
    safe = sw.safe_action(envs[0].system, envs[0].safeguard, x, jnp.array([0.9])).action
    assert (plain == 0) == (gradient == "exact")
    np.testing.assert_allclose(regularised - plain, 2 * 0.1 * (0.9 - safe), rtol=1e-3)
    assert 0.9 - safe > 0.1


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_a_wrong_regularisation_is_refused(value):
    with pytest.raises(ValueError, match=r"`regularisation` is .*, but it must be a finite"):
        safeguarded(regularisation=value)


WRAPPERS = {
    "VmapWrapper": training.VmapWrapper,
    "EpisodeWrapper": lambda env: training.EpisodeWrapper(env, 10, 1),
    "AutoResetWrapper": training.AutoResetWrapper,
    "EvalWrapper": training.EvalWrapper,
    "DomainRandomizationVmapWrapper": lambda env: training.DomainRandomizationVmapWrapper(
        env, lambda sys: (sys, None)
    ),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_it_must_be_the_innermost_wrapper(name):
    with pytest.raises(
        sw.WrapperOrderError,
        match=rf"must be the innermost wrapper, but `env` is a `{name}`\. "
        rf"Write `{name}\(SafeguardWrapper",
    ):
        sw.SafeguardWrapper(
            WRAPPERS[name](SafePendulum(safe_set="narrow")), sw.BoundaryProjection()
        )


def test_it_must_not_be_wrapped_twice(env):
    with pytest.raises(sw.WrapperOrderError, match=r"must not be safeguarded already.*`env\.env`"):
        sw.SafeguardWrapper(env, sw.BoundaryProjection())


def test_wrong_parts_are_refused(env):
    with pytest.raises(TypeError, match=r"`env` must be a `brax\.envs\.Env`, but it is a `str`"):
        sw.SafeguardWrapper("safe_pendulum", sw.BoundaryProjection())
    with pytest.raises(TypeError, match=r"must be a safeguard such as `BoundaryProjection\(\)`"):
        sw.SafeguardWrapper(env.env, sw.BoundaryProjection)


def test_it_forwards_what_it_does_not_change(env):
    assert env.unwrapped is env
    assert env.backend == "closed_form"
    assert env.observation_size == 4
    assert env.action_size == 1
    assert env.dt == 0.05
    assert env.sys is env.env.sys
    assert env.target_angle == 0.0
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = env.no_such_name


def test_the_physics_cannot_be_replaced(env):
    with pytest.raises(sw.CertificateError, match="must stay what the certificate speaks about"):
        env.sys = env.sys


def test_domain_randomisation_fails_loudly(env):
    def randomise(sys, rng):
        gear = jax.vmap(
            lambda key: sys.actuator.gear * jax.random.uniform(key, (), minval=0.5, maxval=1.5)
        )(rng)
        axes = jax.tree.map(lambda _: None, sys).tree_replace({"actuator.gear": 0})
        return sys.tree_replace({"actuator.gear": gear}), axes

    wrapped = training.wrap(
        env, episode_length=10, randomization_fn=functools.partial(randomise, rng=keys(0, 4))
    )
    with pytest.raises(sw.CertificateError, match="domain randomisation"):
        wrapped.reset(keys(0, 4))


def test_repeated_actions_are_verified_again_at_every_sub_step():
    """EpisodeWrapper repeats the request, not the action that was safe at the first sub-step."""
    env = sw.SafeguardWrapper(
        RecordingPendulum(safe_set="narrow", disturbance="worst_case"), sw.BoundaryProjection()
    )
    repeated = training.EpisodeWrapper(training.VmapWrapper(env), 100, action_repeat=4)
    state = jax.jit(repeated.reset)(keys(5, 64))
    request = jnp.ones((64, 1))
    after = jax.jit(repeated.step)(state, request)
    single, step, executed = state, jax.jit(jax.vmap(env.step)), []
    for _ in range(4):
        single = step(single, request)
        executed.append(np.asarray(single.info["executed"]))
    first, last = executed[0], executed[-1]
    np.testing.assert_allclose(
        jax.vmap(env.system.state)(after), jax.vmap(env.system.state)(single), rtol=0, atol=1e-6
    )
    assert np.abs(first - last).max() > 0.5
    H = facets(env)
    assert margins(H, jax.vmap(env.system.state)(after)).min() > 0
    # The first safe action four times would have left the set.
    x = np.asarray(jax.vmap(env.system.state)(state))
    for _ in range(4):
        x = pendulum_step(x, first[:, 0], 0.0)
    assert margins(H, x).min() < 0


def test_typed_keys_are_accepted(env):
    raw, typed = jax.random.PRNGKey(7), jax.random.key(7)
    one, other = env.reset(raw), env.reset(typed)
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    jax.eval_shape(
        training.wrap(env, episode_length=10).reset, jax.ShapeDtypeStruct((4, 2), jnp.uint32)
    )


def test_the_evaluator_of_brax_counts_interventions(env):
    wrapped = training.wrap(env, episode_length=50)
    policy = lambda params: lambda obs, key: (jnp.ones((*obs.shape[:-1], 1)), {})  # noqa: E731
    evaluator = acting.Evaluator(
        wrapped,
        policy,
        num_eval_envs=16,
        episode_length=50,
        action_repeat=1,
        key=jax.random.PRNGKey(0),
    )
    metrics = evaluator.run_evaluation(None, {})
    # Full torque one way runs into the boundary within a few steps, and is intervened with ever
    # after.
    assert 0.8 < metrics["eval/episode_safeguard/intervention_per_step"] <= 1
    assert (
        metrics["eval/episode_safeguard/left_set_per_step"]
        == metrics["eval/episode_left_set_per_step"]
        == 0
    )
    assert metrics["eval/episode_safeguard/task_reward"] == metrics["eval/episode_reward"] < 0
    assert metrics["eval/avg_episode_length"] == 50


def test_a_users_own_system_and_environment():
    assert isinstance(IntegratorSystem(), sw.System)
    env = sw.SafeguardWrapper(
        Integrator(), sw.BoundaryProjection(), system=IntegratorSystem(), regularisation=0.5
    )
    state = env.reset(jax.random.key(0))
    assert signature(jax.eval_shape(env.step, state, jnp.zeros(1))) == signature(
        jax.eval_shape(lambda: state)
    )
    step = jax.jit(env.step)
    for _ in range(8):
        state = step(state, jnp.ones(1))
        assert state.pipeline_state[0] <= 1
    np.testing.assert_allclose(state.pipeline_state, [1.0], atol=1e-5)
    assert state.info["safeguard"]["intervened"] == 1
    assert state.metrics["safeguard/task_reward"] == 1
    np.testing.assert_allclose(state.reward, 0.5, atol=1e-4)
    assert "mine" in state.metrics
    assert "also mine" in state.info


def test_without_a_system_there_is_nothing_to_guarantee():
    with pytest.raises(
        sw.CertificateError, match=r"`Integrator` has no `system`.*give `system=\.\.\.`"
    ):
        sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection())


def test_a_system_with_another_number_of_actions_is_refused():
    system = IntegratorSystem()
    system.action_size = 2
    with pytest.raises(
        sw.CertificateError, match=r"must have the environment's 1 action\(s\), but it has 2"
    ):
        sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection(), system=system)


def test_the_dictionaries_of_the_environment_are_copied(env):
    state = env.env.reset(jax.random.PRNGKey(0))
    wrapped = env._unmoved(state)
    assert "safeguard" in wrapped.info
    assert "safeguard" not in state.info
    assert "safeguard/task_reward" not in state.metrics


class Far(Integrator):
    """Starts outside |x| <= 1, but for the keys whose uniform number is below a bound."""

    def __init__(self, bound=0.0):
        self.bound = bound

    def reset(self, rng):
        state = super().reset(rng)
        return state.replace(
            pipeline_state=jnp.where(jax.random.uniform(rng, (1,)) < self.bound, 0.5, 2.0)
        )


def test_resets_outside_the_safe_set_are_drawn_again():
    """One reset in ten of the environment is inside; all of the wrapper's are, and one that is
    inside is kept.
    """
    env = sw.SafeguardWrapper(Far(0.1), sw.BoundaryProjection(), system=IntegratorSystem())
    own = jax.vmap(env.env.reset)(keys(0, 64)).pipeline_state
    assert np.mean(own > 1) > 0.8
    state = jax.jit(jax.vmap(env.reset))(keys(0, 64))
    np.testing.assert_array_equal(state.pipeline_state, 0.5)
    assert state.info["safeguard"]["inside"].all()
    kept = sw.SafeguardWrapper(Far(1.0), sw.BoundaryProjection(), system=IntegratorSystem())
    jax.tree.map(
        np.testing.assert_array_equal,
        kept.reset(keys(0, 1)[0]).info["also mine"],
        kept.env.reset(keys(0, 1)[0]).info["also mine"],
    )


def test_an_environment_that_never_starts_inside_is_an_error_outside_jit_and_a_flag_inside():
    env = sw.SafeguardWrapper(Far(), sw.BoundaryProjection(), system=IntegratorSystem())
    with pytest.raises(
        sw.CertificateError,
        match=r"must start in the safe set, but 100 resets gave states like \[2\.0\]\. "
        r"Give `reset_to=`",
    ):
        env.reset(jax.random.PRNGKey(0))
    assert jax.jit(env.reset)(jax.random.PRNGKey(0)).info["safeguard"]["inside"] == 0


def start_at(x, key):
    del key
    state = Integrator().reset(None)
    return state.replace(pipeline_state=x, obs=x)


def test_a_start_that_is_not_put_into_effect_is_an_error_too():
    env = sw.SafeguardWrapper(
        Integrator(),
        sw.BoundaryProjection(),
        system=IntegratorSystem(),
        reset_to=lambda x, key: start_at(2 * jnp.ones(1), key),
    )
    with pytest.raises(
        sw.CertificateError,
        match=r"`reset_to` gave states like \[2\.0\]\. It must return the environment's state "
        r"at the x",
    ):
        env.reset(jax.random.PRNGKey(0))
    state = sw.SafeguardWrapper(
        Integrator(), sw.BoundaryProjection(), system=IntegratorSystem(), reset_to=start_at
    ).reset(jax.random.PRNGKey(0))
    assert 0 < abs(state.pipeline_state[0]) < 1


def test_it_speaks_of_its_own_system_and_not_of_the_environments():
    """Starts and observations of the bundled pendulum, safeguarded by a smaller set than its
    own.
    """
    large, small = SafePendulum(), SafePendulum(safe_set="narrow")
    own, other = (
        sw.SafeguardWrapper(large, sw.BoundaryProjection()),
        sw.SafeguardWrapper(large, sw.BoundaryProjection(), system=small.system),
    )
    x = jnp.array([2.0, 0.0])
    assert own.admissible(x)
    assert not other.admissible(x)
    assert np.isfinite(own.observation_bound()).all()
    assert np.isinf(other.observation_bound()).all()
    with pytest.raises(ValueError, match="`Integrator` cannot be put into a given state"):
        sw.SafeguardWrapper(
            Integrator(), sw.BoundaryProjection(), system=IntegratorSystem()
        ).reset_to(jnp.zeros(1), jax.random.PRNGKey(0))


def test_only_the_certified_model_itself_is_more_than_tested():
    """Another system, another plant, Brax's physics: sampling can test them, nothing here proves
    them.
    """
    guard = sw.BoundaryProjection()
    found = sw.SafeguardWrapper(SafePendulum(), guard).guarantee
    assert found.status == "proved"
    assert "records a proof of this claim" in found.by
    assert found.by.endswith("the environment steps this very model")
    for env in (
        sw.SafeguardWrapper(SafePendulum(backend="generalized"), guard),
        sw.SafeguardWrapper(SafePendulum(), guard, system=SafePendulum(safe_set="narrow").system),
        sw.SafeguardWrapper(Integrator(), guard, system=IntegratorSystem()),
    ):
        assert env.guarantee.status == "tested"


def test_a_system_must_be_one():
    with pytest.raises(
        TypeError, match=r"`system` must be a `System` such as `ModelSystem.*but it is a `Model`"
    ):
        sw.SafeguardWrapper(Integrator(), sw.BoundaryProjection(), system=SafePendulum().model)


@pytest.mark.slow
def test_starts_of_a_third_party_environment_are_in_the_safe_set():
    """The arm's own resets are within 1 rad and at rest; placed ones fill the safe set, velocities
    included.
    """
    env = safe_arm()
    x = np.asarray(jax.vmap(env.system.state)(jax.jit(jax.vmap(env.reset))(keys(1, 256))))
    H, h = (np.asarray(part, np.float64) for part in STOPPING.halfspaces())
    assert np.all(x @ H.T <= h)
    assert np.abs(x[:, 0]).max() > 0.5
    assert np.abs(x[:, 1]).max() > 1.8


def test_nothing_goes_around_the_safeguard_of_a_third_party_environment():
    """Domain randomisation is an error, so is the wrong order, and a repeated action is verified at
    every repetition.
    """
    env = safe_arm()
    wrapped = training.wrap(
        env,
        episode_length=10,
        randomization_fn=lambda sys: (sys, jax.tree.map(lambda _: None, sys)),
    )
    with pytest.raises(sw.CertificateError, match="domain randomisation"):
        wrapped.reset(keys(0, 4))
    with pytest.raises(
        sw.WrapperOrderError, match="must be the innermost wrapper, but `env` is a `EpisodeWrapper`"
    ):
        sw.SafeguardWrapper(
            training.EpisodeWrapper(arm_plant().env, 10, 4),
            sw.BoundaryProjection(),
            system=arm_system(),
        )

    repeated = training.wrap(env, episode_length=1_000, action_repeat=4)
    state, step, H = (
        jax.jit(repeated.reset)(keys(1, 128)),
        jax.jit(repeated.step),
        np.asarray(env.system.safe_state_set.H, np.float64),
    )
    for request in (1.0, 1.0, -1.0, -1.0, -1.0):
        state = step(state, jnp.full((128, 1), request))
        assert margins(H, jax.vmap(env.system.state)(state)).min() >= 0
    # What one verified action does if it is repeated without asking again.
    x = jax.vmap(env.system.sample_initial)(keys(2, 128))
    guard = sw.BoundaryProjection()
    action = jax.jit(jax.vmap(lambda x: sw.safe_action(env.system, guard, x, jnp.ones(1)).action))(
        x
    )
    for _ in range(4):
        x = jax.vmap(env.system.model)(x, action, jnp.zeros((128, 2)))
    assert margins(H, x).min() < 0
