import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from safe_wrappers import CertificateError, ModelError, SetDimensionError
from safe_wrappers.certificates import Claim, prove
from safe_wrappers.certificates._initial_states import _rounding
from safe_wrappers.envs.dynamics import cart_pole, pendulum
from safe_wrappers.models import Model
from safe_wrappers.sets import Box, Polytope, Zonotope

W = Box.symmetric([0.1])
X = Box.symmetric([1.05, 8.0])


def claim_of(rows, model=None, **changes):
    parts = {
        "safe_state_set": Polytope(rows, np.ones(len(rows))),
        "constraint_set": X,
        "disturbance_set": W,
    }
    return Claim(model or pendulum(), **{**parts, **changes})


def test_the_set_is_scaled_and_rounded_to_float32(upright_rows):
    claim = claim_of(upright_rows, safe_state_set=Polytope(3.0 * upright_rows, 3.0 * np.ones(10)))
    assert claim.safe_state_set.H.dtype == np.float32
    np.testing.assert_array_equal(claim.safe_state_set.h, np.ones(10))
    np.testing.assert_array_equal(claim.safe_state_set.H, upright_rows.astype(np.float32))


@pytest.mark.smoke
def test_eps_bounds_rounding_and_is_used_as_float32(upright):
    assert upright.eps.dtype == np.float32
    assert np.all((upright.eps > 1e-6) & (upright.eps < 5e-5))


def test_arrays_cannot_be_written_and_the_flag_cannot_be_set_back(upright):
    for array in (upright.eps, upright.gain):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            array.setflags(write=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        upright.sigma = 1.0


def test_arrays_are_copies(upright_rows):
    rows, allowance = upright_rows.copy(), np.full(10, 2.0**-16)
    claim = claim_of(rows, eps=allowance)
    rows[...], allowance[...] = 0.0, 0.0
    assert np.all(claim.eps == np.float32(2.0**-16))
    np.testing.assert_array_equal(claim.safe_state_set.H, upright_rows.astype(np.float32))


def test_the_sets_are_given_by_name_only(upright_rows):
    S = Polytope(upright_rows, np.ones(10))
    with pytest.raises(TypeError, match="positional"):
        Claim(pendulum(), S, X, W)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": cart_pole()}, "`safe_state_set` must have dimension 4"),
        ({"disturbance_set": Box.symmetric([0.1, 0.1])}, "`disturbance_set` must have dimension 1"),
        ({"constraint_set": Box.symmetric([1.0])}, "`constraint_set` must have dimension 2"),
        ({"generators": Zonotope([0.0], [[1.0]])}, "`generators` must have dimension 2"),
        ({"safe_state_set": X}, "`safe_state_set` must be a `Polytope`, but it is a `Box`"),
        ({"safe_state_set": None}, "`safe_state_set` must be a `Polytope`"),
        ({"disturbance_set": [[-0.1], [0.1]]}, "`disturbance_set` must be a `Box`"),
        ({"eps": -1e-5}, "`eps`.*at least 0"),
        ({"eps": "1e-5"}, "`eps`"),
        ({"eps": np.nan}, "`eps`"),
        ({"eps": np.inf}, "`eps`"),
        ({"eps": np.ones(3)}, r"`eps` has shape \(3,\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(upright_rows, changes, message):
    with pytest.raises(SetDimensionError, match=message):
        claim_of(upright_rows, **changes)


@pytest.mark.parametrize("sigma", [0.0, -1.0, np.nan, np.inf, "1e-4", None, 2e-4j, True])
def test_sigma_must_be_a_positive_number(upright_rows, sigma):
    with pytest.raises((TypeError, ValueError), match="`sigma`"):
        claim_of(upright_rows, sigma=sigma)


def test_two_cars_in_absolute_coordinates_are_told_to_use_their_gap():
    """x = (p1, v1, p2, v2): a gap of a metre between positions up to a kilometre."""

    def step(x, a, w):
        first = jnp.stack([x[0] + 0.1 * x[1], x[1] + 0.1 * (2.0 * a[0] + w[0])])
        return jnp.concatenate([first, jnp.stack([x[2] + 0.1 * x[3], x[3] + 0.1 * w[1]])])

    gap = np.array([[1.0, 0.5, -1.0, -0.5]])
    rows = np.concatenate([np.diag([1e-3, 1 / 30, 1e-3, 1 / 30]), gap])
    parts = {
        "constraint_set": Box.symmetric([1e3, 30.0, 1e3, 30.0]),
        "disturbance_set": Box.symmetric([0.1, 0.1]),
    }
    message = (
        r"at facet 4 of S; there H_i x is a small difference of large numbers, of 2\.03e\+03 times "
        r"its size, in the states \[0, 2\]: make that difference a state of its own"
    )
    with pytest.raises(CertificateError, match=message):
        claim_of(np.concatenate([rows, -rows]), Model("two cars", step, 4, 1, 2), **parts)


def test_sigma_must_leave_room_for_rounding(upright_rows):
    with pytest.raises(CertificateError, match=r"`sigma` is 1\.5e-05, but the rounding"):
        claim_of(upright_rows, sigma=1.5e-5)


def test_an_unbounded_disturbance_is_refused(upright_rows):
    with pytest.raises(CertificateError, match="`disturbance_set` must be bounded"):
        claim_of(upright_rows, disturbance_set=Box([-np.inf], [0.1]))


def test_a_model_that_is_not_affine_is_refused():
    model = Model("cubic", lambda x, a, w: 0.5 * x + 0.1 * a**3 + w, 1, 1, 1)
    with pytest.raises(ModelError, match="affine"):
        claim_of(np.array([[1.0], [-1.0]]), model, constraint_set=Box.symmetric([2.0]))


def test_a_model_whose_rounding_cannot_be_bounded_needs_eps():
    model = Model("sorted", lambda x, a, w: 0.5 * jnp.sort(x) + 0.1 * a + w, 1, 1, 1)
    rows, bounds = np.array([[1.0], [-1.0]]), {"constraint_set": Box.symmetric([2.0])}
    with pytest.raises(ModelError, match=r"cannot be bounded.*Or give `eps`"):
        claim_of(rows, model, **bounds)
    claim = claim_of(rows, model, eps=1e-5, **bounds)
    with pytest.raises(ModelError, match="sort"):
        prove(claim)


CHANGES = {
    "S": lambda rows: {"safe_state_set": Polytope(rows * np.float32(1 + 2e-7), np.ones(10))},
    "X": lambda rows: {"constraint_set": Box.symmetric([1.05, 8.1])},
    "W": lambda rows: {"disturbance_set": Box.symmetric([np.nextafter(np.float32(0.1), 1)])},
    "sigma": lambda rows: {"sigma": 2.0001e-4},
    "eps": lambda rows: {"eps": 1.0001e-5, "gain": 50.0, "sigma": 1e-3},
    "gain": lambda rows: {"eps": 1e-5, "gain": 50.001, "sigma": 1e-3},
    "generators": lambda rows: {"generators": Zonotope(np.zeros(2), 0.1 * np.eye(2))},
}


def test_every_number_is_in_the_digest(upright_rows):
    same = claim_of(upright_rows).digest
    assert claim_of(upright_rows).digest == same
    digests = [claim_of(upright_rows, **change(upright_rows)).digest for change in CHANGES.values()]
    assert len({same, *digests}) == 1 + len(CHANGES)


def test_the_program_is_in_its_own_digest(upright_rows):
    program = claim_of(upright_rows).program
    assert claim_of(upright_rows).program == program
    assert claim_of(upright_rows, pendulum(torque=30.0001)).program != program


def test_what_is_claimed_is_described(upright):
    text = upright.describe()
    assert "S     10 facets" in text
    assert "X     [-1.047, 1.047] x [-8, 8]" in text
    assert "W     [-0.1, 0.1]" in text
    assert "sigma 0.0002, eps 5e-06" in text


def test_what_a_centre_may_lose_by_rounding_does_not_depend_on_its_sign():
    H, largest = np.eye(2), np.array([0.5, 2.0])
    found = [_rounding(H, largest, 3, np.array([s * 7.0, 0.0])) for s in (1, -1)]
    np.testing.assert_array_equal(*found)
    assert found[0][0] > _rounding(H, largest, 3, np.zeros(2))[0]
