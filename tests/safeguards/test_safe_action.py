import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import facets, margins, states_in, worst_margins

import safe_wrappers as sw
from safe_wrappers.envs import SafePendulum
from safe_wrappers.safeguards import NAMES, make_safeguard

ENV = SafePendulum(safe_set="narrow")
SAFE_ACTION = jax.jit(
    jax.vmap(lambda x, action: sw.safe_action(ENV.system, sw.BoundaryProjection(), x, action))
)


@pytest.mark.smoke
@pytest.mark.parametrize("name", NAMES)
def test_any_action_at_any_state_of_the_set_is_made_safe(name):
    x = states_in(ENV, 3000)
    safe_action = jax.jit(
        jax.vmap(lambda x, action: sw.safe_action(ENV.system, make_safeguard(name), x, action))
    )
    for request in (0.3, -0.0, 1e-40, 5.0, -1e30, np.inf, np.nan):
        output = safe_action(x, np.full((len(x), 1), request, np.float32))
        assert np.all(np.abs(output.action) <= 1)
        assert worst_margins(facets(ENV), x, np.asarray(output.action)[:, 0]).min() > 0
        assert np.all(output.feasible)
        assert np.all(output.fallback == (not np.isfinite(request)))


def test_outside_the_set_the_least_violating_action_is_executed_and_flagged():
    x = np.array([[0.6, 4.0], [-3.0, -9.0], [1e6, 1e6]], np.float32)
    output = SAFE_ACTION(x, np.full((3, 1), 0.9, np.float32))
    assert not np.any(output.feasible)
    assert np.all(output.fallback)
    assert np.all(output.intervened)
    grid = np.linspace(-1, 1, 201)
    best = np.max([worst_margins(facets(ENV), x, a) for a in grid], axis=0)
    found = worst_margins(facets(ENV), x, np.asarray(output.action)[:, 0])
    # The anchor is nearest to the rows in the action's units, which weighs the facets by their
    # gain: not the best margin, but a comparable one.
    assert np.all(found >= 2 * best)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_at_an_unknown_state_the_neutral_action_is_executed_and_flagged(bad):
    output = SAFE_ACTION(
        np.array([[bad, 0.0], [0.0, bad]], np.float32), np.full((2, 1), 0.3, np.float32)
    )
    np.testing.assert_array_equal(output.action, 0)
    np.testing.assert_allclose(output.distance, 0.3)
    assert not np.any(output.feasible)
    for flag in (output.fallback, output.intervened, output.changed):
        assert np.all(flag)


def test_a_state_that_overflows_is_infeasible_and_its_derivatives_are_finite():
    function = lambda x, a: sw.safe_action(ENV.system, sw.BoundaryProjection(), x, a).action  # noqa: E731
    for x in ([3e38, 3e38], [1e30, -1e30]):
        arguments = jnp.array(x), jnp.array([0.5])
        assert np.abs(function(*arguments)[0]) <= 1
        for leaf in jax.tree.leaves(jax.jit(jax.jacrev(function, (0, 1)))(*arguments)):
            assert np.isfinite(leaf).all()


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((2,), "give one value per actuator"),
        ((4, 1), "batch with jax.vmap"),
    ],
)
def test_actions_of_another_shape_are_refused_at_trace_time(shape, hint):
    with pytest.raises(sw.SetDimensionError, match=rf"must have shape \(1,\).*{hint}"):
        jax.eval_shape(
            lambda a: sw.safe_action(ENV.system, sw.BoundaryProjection(), jnp.zeros(2), a),
            jax.ShapeDtypeStruct(shape, jnp.float32),
        )


def test_a_single_action_may_be_a_number():
    """Agents with one action sometimes squeeze it."""
    protect = jax.jit(
        lambda a: sw.safe_action(ENV.system, sw.BoundaryProjection(), jnp.zeros(2), a)
    )
    for request in (0.2, 0.9, jnp.float32(-0.9)):
        number, vector = protect(request), protect(jnp.array([request]))
        assert number.action.shape == (1,)
        np.testing.assert_array_equal(number.action, vector.action)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 2), (2, 2)])
def test_states_of_another_shape_are_refused_at_trace_time(shape):
    with pytest.raises(
        sw.SetDimensionError,
        match=r"`x` must have shape \(2,\), but its shape is .* one value per state variable.*vmap",
    ):
        jax.eval_shape(
            lambda x: sw.safe_action(ENV.system, sw.BoundaryProjection(), x, jnp.zeros(1)),
            jax.ShapeDtypeStruct(shape, jnp.float32),
        )


def test_of_a_system_without_a_model_the_state_must_be_a_vector():
    system = sw.envs.get_environment("safe_seeker").system
    with pytest.raises(sw.SetDimensionError, match=r"`x` must have shape \(n,\)"):
        sw.safe_action(system, sw.BoundaryProjection(), np.zeros((2, 2)), [0.0, 0.0])


NO_NUMBERS = {
    "None": None,
    "text": ["0.5", "0.5"],
    "bytes": b"ab",
    "objects": [None, 1.0],
    "complex numbers": np.array([1j, 0.0]),
    "complex numbers of JAX": jnp.array([1j, 0.0]),
    "dates": np.array(["2020-01-01", "2020-01-02"], "M8[D]"),
    "a masked array": np.ma.array([0.1, 0.2], mask=[False, True]),
    "a random key": jax.random.key(0),
    "rows of several lengths": [[0.1], [0.1, 0.2]],
    "a dictionary": {"x": 0.1},
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_refused_by_name(kind):
    for name, x, action in (("x", NO_NUMBERS[kind], [0.0]), ("action", [0, 0], NO_NUMBERS[kind])):
        with pytest.raises(sw.SetDimensionError, match=f"`{name}` is .*"):
            sw.safe_action(ENV.system, sw.BoundaryProjection(), x, action)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_state_of_less_precision_is_computed_in_float32(dtype):
    """Its rows, eps and tau would be rounded with it, and the next state would leave the set."""
    x = jnp.asarray(states_in(ENV, 4000), dtype)
    exact = np.asarray(x.astype(jnp.float32))
    output = SAFE_ACTION(x, jnp.sign(x[:, 1:]))
    inside = margins(facets(ENV), exact) >= 0
    assert output.action.dtype == output.distance.dtype == jnp.float32
    assert inside.sum() > 2000
    assert worst_margins(facets(ENV), exact, np.asarray(output.action)[:, 0])[inside].min() > 0
    np.testing.assert_array_equal(output.inside[margins(facets(ENV), exact) > 1e-6], True)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, bool, np.float16, np.float64])
def test_states_and_actions_of_any_real_dtype_give_the_same(kind):
    x, action = np.array([0, 1], kind), np.array([1], kind)
    output = sw.safe_action(ENV.system, sw.BoundaryProjection(), x, action)
    same = sw.safe_action(ENV.system, sw.BoundaryProjection(), [0.0, 1.0], [1.0])
    for one, other in zip(output, same, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.gpu
def test_inside_tells_where_the_guarantee_ends():
    """Just outside all other flags are still green, since a safe action exists there too."""
    inner = np.asarray(states_in(ENV, 2000)[1000:], np.float64)  # within 1e-6 of the boundary
    gauge = 1 - margins(facets(ENV), inner)[:, None]
    for scale, expected in ((1 - 1e-6, True), (1 + 1e-6, False), (1 + 1e-2, False)):
        x = (inner / gauge * scale).astype(np.float32)
        output = SAFE_ACTION(x, np.zeros((len(x), 1), np.float32))
        np.testing.assert_array_equal(output.inside, expected)
        if scale == 1 + 1e-6:
            assert np.mean(output.feasible & ~output.fallback) > 0.9
    unknown = SAFE_ACTION(np.array([[np.nan, 0.0]], np.float32), np.zeros((1, 1), np.float32))
    assert not unknown.inside[0]


def test_a_safeguard_that_is_called_with_a_set_itself_takes_the_state_to_be_inside():
    output = sw.BoundaryProjection()(ENV.system.safe_action_set(jnp.zeros(2)), jnp.zeros(1))
    assert output.inside.dtype == bool
    assert output.inside


@pytest.mark.gpu
def test_all_matrix_products_run_at_the_highest_precision():
    """Accelerators round products to 10 bits or fewer by default, which would void eps."""
    turn = np.array([[0.8, 0.6], [-0.6, 0.8]], np.float32)
    model = sw.Model("turn", lambda x, a, w: turn @ x + 0.3 * (turn @ a) + 0.01 * w, 2, 2, 2)
    square = sw.Polytope(np.concatenate([np.eye(2), -np.eye(2)]), np.ones(4))
    claim = sw.Claim(
        model,
        safe_state_set=square,
        constraint_set=sw.Box.symmetric([2.0, 2.0]),
        disturbance_set=sw.Box.symmetric([1.0, 1.0]),
    )
    system = sw.ModelSystem(claim, state=lambda state: state)

    def value_and_derivatives(x, action):
        def executed(x, action):
            return sw.safe_action(system, sw.BoundaryProjection(), x, action).action

        return executed(x, action), jax.vjp(executed, x, action)[1](jnp.ones(2))

    program = str(jax.make_jaxpr(value_and_derivatives)(jnp.zeros(2), jnp.zeros(2)))
    assert program.count("dot_general") >= 4
    assert program.count("dot_general") == program.count("precision=(Precision.HIGHEST")


def products(function, *arguments):
    """The precisions of all matrix products of the program that JAX hands to the compiler."""
    text = jax.jit(jax.vmap(function)).lower(*arguments).as_text()
    assert "convolution" not in text
    found = re.findall(r"dot_general.*", text)
    return [re.findall(r"precision = \[(\w+), (\w+)\]", line)[0] for line in found]


SYSTEMS = [name for name in sw.envs.registered_names() if name != "safe_quadrotor"]


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "safeguard"),
    [("safe_quadrotor", name) for name in NAMES]
    + [(name, "boundary_projection") for name in SYSTEMS],
)
def test_no_product_of_a_safeguarded_step_may_be_rounded(name, safeguard):
    """Rows, anchor, accept test, step and monitor, as the compiler gets them."""
    env = sw.envs.get_environment(name)
    claimed = name != "safe_seeker"
    env = sw.SafeguardWrapper(env, make_safeguard(safeguard), monitor=claimed)
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    state = jax.eval_shape(jax.vmap(env.reset), keys)
    action = jax.ShapeDtypeStruct((4, env.action_size), jnp.float32)
    found = products(env.step, state, action)
    assert set(found) == ({("HIGHEST", "HIGHEST")} if claimed else set())


@pytest.mark.gpu
def test_products_that_could_be_rounded_would_be_seen():
    assert products(lambda x: jnp.eye(2) @ x, jnp.zeros((4, 2))) == [("DEFAULT", "DEFAULT")]


def test_plain_lists_will_do():
    output = sw.safe_action(ENV.system, sw.BoundaryProjection(), [0, 0], [0.25])
    np.testing.assert_array_equal(output.action, [0.25])
    assert output.action.dtype == jnp.float32


def test_float64_states_are_computed_in_float64():
    with jax.enable_x64():
        output = jax.eval_shape(
            lambda x: sw.safe_action(
                ENV.system, sw.BoundaryProjection(), x, jnp.ones(1, jnp.float32)
            ),
            jax.ShapeDtypeStruct((2,), jnp.float64),
        )
        assert output.action.dtype == output.distance.dtype == jnp.float64
