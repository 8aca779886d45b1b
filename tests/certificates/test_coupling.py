from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from virtual_plants import (
    ARM_BLOCKS,
    ARM_W,
    ARM_X,
    DRONE_BLOCKS,
    DRONE_V,
    DRONE_W,
    DRONE_X,
    JOINT,
    LATERAL,
    STEP,
    arm,
    drone,
    drone_step,
)

import safe_wrappers as sw
from safe_wrappers.certificates._coupling import Range, coupling
from safe_wrappers.models import InVirtualInputs, Model

DRONE_RANGE = Range.of(DRONE_X, DRONE_V, DRONE_W)


def of_drone(form=LATERAL, range_=DRONE_RANGE):
    stepped = InVirtualInputs(drone()).stepped
    return coupling(stepped, DRONE_BLOCKS[0], form, np.zeros(5, np.float32), range_)


def test_joints_do_not_disturb_one_another():
    range_ = Range.of(ARM_X, sw.Box.symmetric([3, 4]), ARM_W)
    stepped = InVirtualInputs(arm()).stepped
    form = coupling(stepped, ARM_BLOCKS[1], JOINT, np.zeros(4, np.float32), range_)
    assert form.rests == ()
    step, w = Fraction(STEP), Fraction(1, 2)
    assert form.columns == ((step**2 * w, step * w),)
    assert form.k == (0, 0)
    assert form.push([Fraction(1), Fraction(-2)]) == abs(step**2 - 2 * step) * w


def test_what_is_not_linear_is_enclosed_as_near_as_points_find_it():
    form = of_drone()
    (rest,) = form.rests
    assert rest.low < 0 < rest.high
    assert rest.found <= (rest.high - rest.low) / 2 <= 1.05 * rest.found + 0.03


def test_the_form_holds_at_random_points():
    form = of_drone()
    E = np.array([[float(v) for v in column] for column in form.columns]).T
    rng = np.random.default_rng(3)
    z = rng.uniform(DRONE_RANGE.lower, DRONE_RANGE.upper, (2000, 9))
    z[::2] = np.where(rng.random(z[::2].shape) < 0.5, DRONE_RANGE.lower, DRONE_RANGE.upper)
    x, v, w = z[:, :5], z[:, 5:7], z[:, 7:]
    push = (9.81 + v[:, 0]) * np.tan(x[:, 2])
    speed = x[:, 3] + 0.02 * (push + w[:, 0])
    after = np.stack([x[:, 0] + 0.02 * speed, x[:, 2] + 0.02 * v[:, 1], speed], axis=1)
    y = x[:, [0, 2, 3]]
    linear = y @ np.array(LATERAL.A).T + v[:, 1:] @ np.array(LATERAL.B).T
    rest = after - linear - np.array([float(k) for k in form.k])
    # Not only the box of the rest: position and speed are pushed by one cause and one wind.
    outside = np.abs(rest) - np.abs(E).sum(axis=1)
    assert outside.max() < 1e-6
    assert np.allclose(rest[:, 0], 0.02 * rest[:, 2], atol=1e-6)


def test_wrong_numbers_of_a_claim_are_paid_for():
    """A slope that is wrong, or an entry that is not there, is bounded like everything else."""
    right = of_drone()
    A = LATERAL.A.copy()
    A[2, 1] = A[0, 1] = 0.0
    row = [Fraction(0), Fraction(0), Fraction(1)]
    without = of_drone(LATERAL._replace(A=A))
    assert without.push(row) > 4 * right.push(row)
    A = LATERAL.A.copy()
    A[1, 0] = 0.01
    assert of_drone(LATERAL._replace(A=A)).push([Fraction(0), Fraction(1), Fraction(0)]) >= 0.02


def test_a_wider_range_leaves_more_over():
    wider = Range.of(sw.Box.symmetric([2.0, 2.0, 0.4, 1.5, 1.5]), DRONE_V, DRONE_W)
    row = [Fraction(0), Fraction(0), Fraction(1)]
    assert of_drone(range_=wider).push(row) > of_drone().push(row)


def test_two_forces_in_one_speed_are_one_cause():
    def step(x, v, w):
        speed = x[1] + 0.1 * (v[0] + jnp.sin(x[0]) - 0.5 * x[1] ** 3)
        return jnp.stack([x[0] + 0.1 * speed, speed])

    model = Model("two forces", step, 2, 1)
    range_ = Range.of(sw.Box.symmetric([1, 1]), sw.Box.symmetric([1]), sw.Box([], []))
    dt = float(np.float32(0.1))
    form = JOINT._replace(
        A=np.array([[1 + 0.9 * dt * dt, dt], [0.9 * dt, 1.0]]), B=np.array([[dt * dt], [dt]])
    )
    found = coupling(model, ARM_BLOCKS[0]._replace(states=(0, 1)), form, np.zeros(2), range_)
    assert len(found.rests) == 1
    points = np.random.default_rng(0).uniform(-1, 1, (5000, 2))
    rest = np.sin(points[:, 0]) - 0.5 * points[:, 1] ** 3 - 0.9 * points[:, 0]
    assert found.rests[0].low <= rest.min()
    assert rest.max() <= found.rests[0].high


def test_nonlinear_terms_that_cannot_be_told_apart_are_refused():
    def step(x, v, w):
        a, b, c = jnp.sin(x[0]), jnp.sin(x[1]), jnp.cos(x[1])
        return jnp.stack([x[0] + a + v[0] + c, x[1] + a + b + 2 * c])

    model = Model("entangled", step, 2, 1)
    range_ = Range.of(sw.Box.symmetric([1, 1]), sw.Box.symmetric([1]), sw.Box([], []))
    with pytest.raises(sw.CertificateError, match="depend on one another"):
        coupling(model, ARM_BLOCKS[0]._replace(states=(0, 1)), JOINT, np.zeros(2), range_)


def test_the_step_of_the_tests_is_the_step_of_the_model():
    assert drone().virtual.step is drone_step
