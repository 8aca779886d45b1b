import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import PENDULUM_SETS, facets, keys, margins, states_in, worst_margins

import safe_wrappers as sw
from safe_wrappers import Box, ModelSystem, Polytope, SafeActionSet, Zonotope
from safe_wrappers.certificates import Claim
from safe_wrappers.envs import SafePendulum, dynamics

BOX = Polytope(*Box.symmetric([0.5, 4.0]).halfspaces())


@pytest.fixture(scope="module", params=PENDULUM_SETS)
def env(request):
    return SafePendulum(safe_set=request.param)


@pytest.mark.gpu
@pytest.mark.smoke
def test_the_rows_are_exactly_the_safe_actions(env):
    """Both directions: what the rows admit is safe for all vertices of W, and what is safe with eps
    to spare is admitted.
    """
    x = states_in(env, 2000)
    action_set = jax.jit(jax.vmap(env.system.safe_action_set))(x)
    A, b = np.asarray(action_set.A, np.float64)[..., 0], np.asarray(action_set.b, np.float64)
    least, most = float(env.system.eps.min()), float(env.system.eps.max())
    rounding = least / 10  # far inside its allowance
    for a in np.linspace(-1, 1, 81):
        taken = worst_margins(facets(env), x, a) - (b - A * a).min(axis=1)
        assert least - rounding < taken.min()
        assert taken.max() < most + rounding


@pytest.mark.gpu
def test_every_state_of_the_set_has_a_safe_action(env):
    """The certificate's claim, sampled: the anchor keeps sigma = 2e-4 of margin, at the vertices
    and next to the boundary too.
    """
    vertices = env.system.safe_state_set.vertices().astype(np.float32) * np.float32(1 - 1e-6)
    x = np.concatenate([states_in(env, 4000), vertices])
    anchor = np.asarray(jax.jit(jax.vmap(lambda x: env.system.safe_action_set(x).anchor))(x))[:, 0]
    assert np.all(np.abs(anchor) <= 1)
    assert worst_margins(facets(env), x, anchor).min() >= 2e-4 - 2e-6


@pytest.mark.gpu
def test_rows_tightened_by_the_action_room_leave_a_safe_action(env):
    room = env.system.action_room
    assert 1e-6 < room < 1e-3
    vertices = env.system.safe_state_set.vertices().astype(np.float32) * np.float32(1 - 1e-6)
    x = np.concatenate([states_in(env, 1000), vertices])

    def depth(x):
        action_set = env.system.safe_action_set(x)
        A, b = action_set.unit_rows()
        return jnp.min(b - A @ action_set.anchor)

    assert np.min(jax.jit(jax.vmap(depth))(x)) >= room


def test_without_a_known_gain_there_is_no_action_room():
    assert system_of(eps=1e-5, gain=0.0).action_room == 0.0


@pytest.mark.gpu
def test_margin_and_violation(env):
    x = states_in(env, 1000)
    system = env.system
    np.testing.assert_allclose(
        jax.vmap(system.margin)(x), margins(facets(env), x), rtol=0, atol=1e-6
    )
    assert not np.any(jax.vmap(system.violation)(x))
    bound = np.asarray(system.constraint_set.upper)
    assert system.violation(jnp.array([bound[0] * 1.001, 0.0])) == 1
    assert system.violation(jnp.array([0.0, 8.01])) == np.isfinite(bound[1])
    assert system.violation(jnp.array([np.nan, 0.0])) == 1


def test_initial_states_are_inside_and_uniform_by_volume(env):
    x = np.asarray(jax.vmap(env.system.sample_initial)(keys(0, 20_000)))
    inside = margins(facets(env), x)
    assert inside.min() > 0
    # The margin of a uniform point is below m with probability 1 - (1 - m)^2: a Kolmogorov-Smirnov
    # distance of 0.015 has p < 1e-3.
    ranks = np.sort(1 - (1 - inside) ** 2)
    assert np.abs(ranks - np.linspace(0, 1, len(ranks))).max() < 0.015
    assert np.abs((x[:, 0] > 0).mean() - 0.5) < 0.015


def test_generators_sample_the_zonotope():
    system = SafePendulum(safe_set="walter2025").system
    x = np.asarray(jax.vmap(system.sample_generators)(keys(0, 5000)))
    assert margins(facets(SafePendulum(safe_set="walter2025")), x).min() > 0
    # Uniform in the generators' cube: the covariance is G G' / 3, smaller than by volume.
    G = np.asarray(system.generators.generators, np.float64)
    np.testing.assert_allclose(np.cov(x.T), G @ G.T / 3, atol=0.5)
    with pytest.raises(sw.SetDimensionError, match="has no generators"):
        SafePendulum(safe_set="narrow").system.sample_generators(jax.random.PRNGKey(0))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_follows_the_dtype_of_the_state(dtype):
    system = SafePendulum(safe_set="narrow").system
    with jax.enable_x64():
        x = jax.ShapeDtypeStruct((2,), dtype)
        for leaf in [
            *jax.tree.leaves(jax.eval_shape(system.safe_action_set, x)),
            jax.eval_shape(system.margin, x),
        ]:
            assert leaf.dtype == dtype
            assert not leaf.weak_type


def test_a_polytope_of_another_scale_is_rescaled():
    H = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    system = system_of(Polytope(H, np.array([0.5, 0.5, 4.0, 4.0])))
    np.testing.assert_allclose(
        system.safe_state_set.halfspaces()[0], H / np.array([[0.5], [0.5], [4.0], [4.0]])
    )
    assert system.margin(jnp.zeros(2)) == 1


@pytest.mark.parametrize("promise", [None, dynamics.pendulum(), BOX, "full", {}])
def test_only_a_claim_or_a_certificate_is_a_promise(promise):
    with pytest.raises(TypeError, match="must be a `Claim` or a `Certificate`, but it is a"):
        ModelSystem(promise, state=lambda state: state)


def test_the_state_must_be_read_by_a_function():
    with pytest.raises(TypeError, match="`state`"):
        ModelSystem(claim_of(), state=None)


def test_everything_that_decides_safety_is_the_claims_and_nothing_can_be_given_beside_it():
    claim = sw.envs.load_certificate("safe_pendulum", "walter2025").claim
    system = ModelSystem(claim, state=lambda state: state)
    for name in (
        "model",
        "safe_state_set",
        "constraint_set",
        "disturbance_set",
        "eps",
        "blocks",
        "generators",
        "center",
    ):
        assert getattr(system, name) is getattr(claim, name)
        with pytest.raises(TypeError, match=name):
            ModelSystem(claim, state=lambda state: state, **{name: getattr(claim, name)})
        with pytest.raises(AttributeError):
            setattr(system, name, getattr(claim, name))


def test_a_set_without_an_interior_is_refused():
    H = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    with pytest.raises(sw.SetDimensionError, match="must have an interior"):
        system_of(Polytope(H, [2.0, -2.0, 1.0, 1.0]))
    with pytest.raises(sw.SetDimensionError, match="bounded and non-empty"):
        system_of(Polytope(H, [2.0, -3.0, 1.0, 1.0]))


def test_it_says_what_stands_behind_it(env, monkeypatch):
    monkeypatch.setattr("safe_wrappers.certificates._proof._PROVED", {})
    found, name = env.system.guarantee, env.system.certificate.name
    assert found.status == "proved"
    assert f"the certificate {name!r} records a proof" in found.by
    assert system_of().guarantee.status == "tested"
    assert "has not proved this claim about the model 'safe_pendulum'" in system_of().guarantee.by


def test_a_model_system_is_a_system():
    assert isinstance(system_of(), sw.System)
    assert not isinstance(object(), sw.System)


def test_constraints_and_disturbances_need_not_be_symmetric():
    """W = [-0.1, 0.3]: the worst vertex counts for each facet."""
    system = system_of(disturbance_set=Box([-0.1], [0.3]))
    x = jnp.array([0.1, 0.2])
    action_set: SafeActionSet = system.safe_action_set(x)
    H = np.asarray(system.safe_state_set.halfspaces()[0], np.float64)
    c, B, E = (np.asarray(part, np.float64) for part in dynamics.pendulum().affine(x))
    worst = np.max([H @ (c + E @ [w]) for w in (-0.1, 0.3)], axis=0)
    np.testing.assert_allclose(action_set.b, 1 - system.eps - worst, atol=1e-6)
    np.testing.assert_allclose(action_set.A, H @ B, rtol=1e-6)


def test_generators_are_kept_for_sampling():
    zonotope = Zonotope(np.zeros(2), np.diag([0.5, 4.0]))
    system = system_of(zonotope.to_polytope(), generators=zonotope)
    assert system.sample_generators(jax.random.PRNGKey(0)).shape == (2,)


def test_generators_away_from_the_origin_are_sampled_where_they_lie():
    """Initial states outside of S would start episodes that nothing is promised about."""
    zonotope = Zonotope([0.8, -7.0], np.diag([0.5, 4.0]))
    system = system_of(
        zonotope.to_polytope(),
        generators=zonotope,
        center=[0.6, -6.0],
        constraint_set=Box([-2.0, -20.0], [2.0, 20.0]),
    )
    x = np.asarray(jax.jit(jax.vmap(system.sample_generators))(keys(0, 1000)))
    np.testing.assert_allclose(x.min(axis=0), [0.3, -11.0], atol=0.1)
    np.testing.assert_allclose(x.max(axis=0), [1.3, -3.0], atol=0.1)
    assert np.all(jax.vmap(system.safe_state_set.contains)(x))


def claim_of(safe_state_set=BOX, **changes):
    parts = {
        "safe_state_set": safe_state_set,
        "constraint_set": Box.symmetric([0.5, 8.0]),
        "disturbance_set": Box.symmetric([0.1]),
    }
    return Claim(dynamics.pendulum(), **{**parts, **changes})


def system_of(safe_state_set=BOX, **changes):
    return ModelSystem(claim_of(safe_state_set, **changes), state=lambda state: state)
