import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64_program import exactly

from safe_wrappers import ModelError
from safe_wrappers.certificates._branches import Branches
from safe_wrappers.certificates._enclosure import ModelEnclosure
from safe_wrappers.certificates._intervals import Interval
from safe_wrappers.certificates._taylor import SMOOTH, Taylor
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model


def zoo_step(x, a, w):
    """One of everything that the proof knows."""
    p, q = x
    matrix = jnp.array([[1.0, 0.2], [-0.3, 0.7]])
    first = jnp.tan(0.3 * p) + jnp.exp(0.2 * q) / (2.0 + p**2) + jnp.sqrt(4.0 + q) * jnp.arctan(p)
    second = jnp.tanh(p * q) + jnp.log(3.0 + p) - q**3 + jnp.square(p) * jnp.cos(q) / (p + 3.0)
    mixed = matrix @ jnp.concatenate([first[None], second[None]])
    mixed = mixed.at[0].set(mixed[0] + a[0] * jnp.sin(p)) + w[0] * jnp.stack([q, 0.0])
    return jnp.where(jnp.array([True, False]), mixed, mixed[::-1] + jnp.sum(x * x))


MODELS = {
    "pendulum": (pendulum(), np.array([3.0, 8.0])),
    "cart_pole": (cart_pole(), np.array([2.4, 0.5, 6.0, 5.0])),
    "zoo": (Model("zoo", zoo_step, 2, 1, 1), np.array([0.9, 0.9])),
}


@pytest.fixture(params=MODELS)
def case(request):
    return MODELS[request.param]


def boxes(radius, count, rng):
    center = rng.uniform(-1, 1, (len(radius), count)) * radius[:, None]
    half = rng.uniform(0, 0.2, (len(radius), count)) * radius[:, None]
    return Interval(
        np.clip(center - half, -radius[:, None], None),
        np.clip(center + half, None, radius[:, None]),
    )


def members(box, rng):
    """Points of each box, corners among them, shape (dims, cells)."""
    t = rng.uniform(size=box.lo.shape)
    t = np.where(rng.uniform(size=t.shape) < 0.5, np.round(t), t)
    return box.lo + t * (box.hi - box.lo)


def contains(interval, values, slack=1e-12):
    room = slack * (1 + np.abs(values))
    return np.all(interval.lo <= values + room) and np.all(values - room <= interval.hi)


def test_value_jacobians_and_hessian_contain_jax_at_sampled_points(case):
    model, radius = case
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    rng = np.random.default_rng(0)
    w = 0.1 * rng.uniform(-1, 1, k)
    enclosure = ModelEnclosure(model, w)
    z = boxes(np.concatenate([radius, np.ones(d)]), 200, rng)
    bend = enclosure.bend(z)
    curved, hessian = bend.curved, bend.hessian
    value = enclosure.value(z[:n], z[n:])
    c, B = enclosure.affine_in_action(z[:n])
    E = enclosure.disturbance_matrix(z[:n])
    exact = exactly(model.step, n, d, k)
    with jax.enable_x64():

        def step(z, w):
            return exact(z[:n], z[n:], w)

        everything = jax.jit(
            jax.vmap(
                lambda z, w: (
                    step(z, w),
                    jax.hessian(step)(z, w),
                    *jax.jacobian(step, (0, 1))(z, w),
                ),
                (0, None),
            )
        )
        values = jax.jit(jax.vmap(step, (0, None)))
        for _ in range(5):
            point = members(z, rng).T
            f, H, J, Jw = (
                np.moveaxis(np.asarray(output), 0, -1) for output in everything(point, w)
            )
            at_zero = np.asarray(values(np.where(np.arange(n + d) < n, point, 0.0), w)).T
            assert contains(value, f)
            assert contains(c, at_zero)
            assert contains(B, J[:, n:])
            assert contains(E, Jw)
            assert contains(hessian, H[:, list(curved)][:, :, list(curved)])
            others = [i for i in range(n + d) if i not in curved]
            assert np.all(H[:, others] == 0)


def test_enclosures_shrink_to_the_derivatives_at_a_point(case):
    model, radius = case
    n, d, k = model.state_size, model.action_size, model.disturbance_size
    point = np.concatenate([0.3 * radius, 0.5 * np.ones(d)])
    bend = ModelEnclosure(model, np.zeros(k)).bend(Interval.point(point[:, None]))
    curved, hessian = bend.curved, bend.hessian
    program = exactly(model.step, n, d, k)
    with jax.enable_x64():
        exact = np.asarray(
            jax.jit(jax.hessian(lambda z: program(z[:n], z[n:], jnp.zeros(k))))(jnp.asarray(point))
        )
    np.testing.assert_allclose(
        hessian.middle[..., 0], exact[:, list(curved)][:, :, list(curved)], rtol=1e-11, atol=1e-12
    )
    assert np.max(hessian.width) < 1e-11


def test_only_the_pendulums_angle_is_curved():
    bend = ModelEnclosure(pendulum(), np.zeros(1)).bend(Interval.point(np.zeros((3, 1))))
    assert bend.curved == (0,)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("floor", jnp.floor),
        ("sort", jnp.sort),
        ("rem", lambda x: x % 1.0),
        ("lu", lambda x: jax.lax.linalg.lu(jnp.diag(x))[0][0]),
        ("while", lambda x: jax.lax.while_loop(lambda y: y[0] < 1.0, lambda y: y * 2.0, x)),
        ("pow", lambda x: x ** x[0]),
        ("convert_element_type", lambda x: x.astype(int) * 1.0),
    ],
)
def test_operations_without_a_rule_are_refused_by_name(name, function):
    model = Model("rough", lambda x, a, w: function(x) + a + w, 2, 2, 2)
    with pytest.raises(ModelError, match=f"`({name})`"):
        ModelEnclosure(model, np.zeros(2)).bend(Interval.point(np.zeros((4, 1))))


def test_a_pole_inside_the_box_is_unbounded_not_wrong():
    model = Model("pole", lambda x, a, w: 1.0 / x + a + w, 1, 1, 1)
    value = ModelEnclosure(model, np.zeros(1)).value(
        Interval(np.array([[-1.0]]), np.array([[1.0]])), Interval.point(np.zeros((1, 1)))
    )
    assert not value.hi[0, 0] <= 1e300


def test_the_derivatives_of_the_cube_root_are_those_of_the_root():
    root = SMOOTH["cbrt"](Taylor.variable(Interval.point(np.array([8.0])), 0, order=2))
    for found, expected in (
        (root.value.lo, 2.0),
        (root.gradient[0].lo, 1 / 12),
        (root.hessian[0, 0].hi, -2 / 9 / 8 ** (5 / 3)),
    ):
        np.testing.assert_allclose(found, [expected], rtol=1e-9)


def test_a_sign_that_is_decided_makes_no_jump():
    branches = Branches(1)
    found = branches.arithmetic().operations["sign"](
        Taylor.variable(Interval.point(np.array([2.0])), 0, order=2)
    )
    np.testing.assert_array_equal(found.value.lo, [1.0])
    np.testing.assert_array_equal(found.value.hi, [1.0])
    assert not branches.jumps
