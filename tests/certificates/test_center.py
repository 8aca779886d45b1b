"""Safe sets away from the origin: what a claim makes of them, and what is refused."""

import dataclasses
import json
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from off_center import (
    DRONE_CENTER,
    DRONE_H,
    DRONE_LIMITS,
    DRONE_SET,
    drone,
    drone_claim,
    plane,
    plane_claim,
    tank_claim,
)

import safe_wrappers as sw
from safe_wrappers import Box, CertificateError, Claim, Model, Polytope, SetDimensionError, prove
from safe_wrappers.certificates import Certificate
from safe_wrappers.certificates._coverage import cover, pulled_inside, uncovered, vertex_outside
from safe_wrappers.certificates._product import reduction
from safe_wrappers.certificates._room import exact_room, room_bounds, seen_from


def exact(value):
    return Fraction(float(value))


def test_a_set_in_its_own_units_is_proved_as_it_stands():
    claim = drone_claim()
    assert prove(claim).proved
    S = claim.safe_state_set
    assert S.support([1.0, 0.0]) == pytest.approx(9.0, abs=1e-4)
    assert S.support([-1.0, 0.0]) == pytest.approx(-1.0, abs=1e-4)
    assert claim.eps.max() < 6e-6
    assert "x in [1, 9] x [-2, 3], centre (4.97" in claim.describe()


def test_every_facet_has_room_one_at_the_centre_up_to_the_rounding_of_h():
    claim = drone_claim(center=[4.0, 0.5])
    assert claim.center.tolist() == [4.0, 0.5]
    S = claim.safe_state_set
    assert S.H.dtype == S.h.dtype == claim.center.dtype == np.float32
    for row, h, room in zip(S.H, S.h, exact_room(S.H, S.h, claim.center), strict=True):
        value = exact(h) - sum(exact(a) * exact(c) for a, c in zip(row, claim.center, strict=True))
        assert value == room
        assert 0 <= 1 - room <= exact(np.spacing(np.abs(h) + np.float32(1)))
    bounds = room_bounds(S, claim.center)
    assert all(
        exact(lo) <= room <= exact(hi)
        for lo, room, hi in zip(
            bounds.lo, exact_room(S.H, S.h, claim.center), bounds.hi, strict=True
        )
    )


def test_the_set_seen_from_the_centre_holds_nothing_outside():
    claim = drone_claim()
    around = claim.centered_set
    assert around.h.dtype == np.float32
    room = exact_room(*claim.safe_state_set.halfspaces(), claim.center)
    assert all(exact(below) <= value for below, value in zip(around.h, room, strict=True))
    assert np.all(around.h > 1 - 1e-6)
    at_origin = sw.envs.load_certificate("safe_pendulum", "narrow").claim
    assert at_origin.centered_set is at_origin.safe_state_set


def test_the_stored_numbers_are_kept():
    claim = drone_claim()
    again = dataclasses.replace(claim, eps=None, gain=None)
    np.testing.assert_array_equal(again.safe_state_set.H, claim.safe_state_set.H)
    np.testing.assert_array_equal(again.safe_state_set.h, claim.safe_state_set.h)
    assert again.digest == claim.digest


def test_a_set_with_the_origin_well_inside_has_it_for_its_centre(upright):
    assert not np.any(upright.center)
    assert "center" not in upright.numbers()
    assert np.all(upright.safe_state_set.h == 1)


@pytest.mark.parametrize("lowest", [-0.5, 0.5, 2.0])
def test_else_the_centre_is_that_of_volume(lowest):
    """With the origin near a facet or outside, in whatever units."""
    scale = np.array([1.0, 1000.0])
    corners = np.array([[lowest, -1.0], [lowest + 10, -1.0], [lowest + 10, 1], [lowest, 1]]) * scale
    model = Model("two", lambda x, a, w: x + jnp.stack([1.0, 100.0]) * a + 0.0 * w[0], 2, 2, 1)
    claim = Claim(
        model,
        safe_state_set=Polytope.from_vertices(corners),
        constraint_set=Box(np.array([-3.0, -2000.0]), np.array([20.0, 2000.0])),
        disturbance_set=Box.symmetric([1.0]),
    )
    np.testing.assert_allclose(claim.center, [lowest + 5, 0.0], atol=1e-3)
    assert prove(claim).proved


def test_one_state_is_an_interval():
    claim = tank_claim()
    np.testing.assert_allclose(claim.center, [40.0], atol=1e-4)
    assert prove(claim).proved
    # Consumers may take 6 l/s; a pump of 5.9 cannot hold the level.
    weak = Model("tank", lambda x, a, w: x + 0.5 * (2.95 + 2.95 * a - w), 1, 1, 1)
    answer = prove(dataclasses.replace(claim, model=weak, eps=None, gain=None))
    assert answer.status == "counterexample"
    assert answer.counterexample == pytest.approx([20.001], abs=1e-3)


def test_a_product_of_two_sets_away_from_the_origin_is_proved_block_by_block():
    claim = plane_claim()
    np.testing.assert_allclose(claim.center, [4.97, 19.97, 0.49, 0.49], atol=0.01)
    assert prove(claim).proved
    # Aside, the height matters: a state of the other block, between 1 and 9 m, never 0.
    goal, model = reduction(claim, claim.blocks[1])
    assert model.state_size == 3
    assert np.asarray(goal.safe_state_set.H)[-2:, 2] @ [1.0, 0.0] > 0
    highest = goal.safe_state_set.support([0.0, 0.0, 1.0])
    lowest = -goal.safe_state_set.support([0.0, 0.0, -1.0])
    assert (lowest, highest) == pytest.approx((1.0, 9.0), abs=1e-12)
    assert lowest <= 1.0
    assert highest >= 9.0


def test_a_false_product_is_refuted_by_a_joint_state_in_natural_coordinates():
    claim = plane_claim(disturbance_set=Box.symmetric([1.0, 11.0]))
    answer = prove(claim)
    assert answer.status == "counterexample"
    height, aside = answer.counterexample[:2]
    assert 1 <= height <= 9
    assert 16 <= aside <= 24


def test_blocks_ask_for_bounds_on_both_sides_of_the_centre():
    X = Box(np.array([-np.inf, 16.0, -2.0, -2.0]), np.array([9.0, 24.0, 3.0, 3.0]))
    with pytest.raises(CertificateError, match=r"on both sides of the centre of S, 4\.97"):
        prove(plane_claim(constraint_set=X))


# What is refused at construction.


@pytest.mark.parametrize(
    ("center", "message"),
    [
        ([0.0, 0.0], r"strictly inside S, but \[0.0, 0.0\] lies on or beyond facet"),
        ([9.0, 0.0], "strictly inside S"),
        (np.full(2, 1e30), "strictly inside S"),
    ],
)
def test_a_centre_outside_is_refused(center, message):
    with pytest.raises(CertificateError, match=message) as refused:
        drone_claim(center=center)
    assert "Leave `center` out" in str(refused.value)


@pytest.mark.parametrize("center", [5.0, [5.0], [[5.0, 0.0]], [np.nan, 0.0], [np.inf, 0.0], "5 0"])
def test_a_centre_that_is_no_state_is_refused(center):
    with pytest.raises(SetDimensionError, match="`center`"):
        drone_claim(center=center)


def cart(middle):
    """A cart that may move 1 m to each side of a place."""
    model = Model("cart", lambda x, a, w: x + 0.1 * a + 0.01 * w, 1, 1, 1)
    ends = np.array([[middle - 1.0], [middle + 1.0]])
    return Claim(
        model,
        safe_state_set=Polytope.from_vertices(ends),
        constraint_set=Box(ends[0] - 1, ends[1] + 1),
        disturbance_set=Box.symmetric([1.0]),
    )


def test_rounding_grows_with_the_distance_from_the_origin_and_the_error_says_what_to_do():
    eps = [cart(middle).eps.max() for middle in (0.0, 30.0, 100.0)]
    assert eps[0] < eps[1] < eps[2] < 5e-5
    assert all(prove(cart(middle)).proved for middle in (30.0, 100.0))
    with pytest.raises(CertificateError, match="needs at least 2 eps_i") as far:
        cart(1000.0)
    assert "state 0 lies around 1000, 500 times the width of S" in str(far.value)
    assert "Measure state 0 from a point near S" in str(far.value)
    with pytest.raises(CertificateError, match=r"S must lie nearer to the origin.*Measure state 0"):
        cart(1e7)


# What is not proved: each a mistake that this could make.


def test_a_set_that_moved_the_wrong_way_is_refuted():
    """The mirror image of the set about the origin: -9 to -1 m, not where the limits are."""
    mirrored = Polytope(DRONE_H, 1 - DRONE_H @ DRONE_CENTER)
    answer = prove(drone_claim(safe_state_set=mirrored))
    assert answer.status == "counterexample"
    assert answer.counterexample[0] < 0


@pytest.mark.parametrize("facet", range(len(DRONE_H)))
def test_offsets_that_are_off_by_two_per_cent_are_refuted(facet):
    h = np.asarray(DRONE_SET.h) + 0.02 * (np.arange(len(DRONE_H)) == facet)
    answer = prove(drone_claim(safe_state_set=Polytope(DRONE_H, h)))
    assert not answer.proved
    if answer.status == "counterexample":
        assert np.all(DRONE_H @ answer.counterexample <= h + 1e-6)


def test_the_rounding_of_a_set_around_the_origin_does_not_do_far_from_it():
    near, far = cart(0.0), cart(100.0)
    forged = dataclasses.replace(far, eps=near.eps)
    answer = prove(forged)
    assert answer.status == "inconclusive"
    assert "float32 may lose up to" in answer.reason


def test_limits_are_compared_where_the_set_is():
    answer = prove(drone_claim(constraint_set=Box(np.array([1.5, -2.0]), np.array([9.0, 3.0]))))
    assert answer.status == "counterexample"
    assert answer.counterexample[0] == pytest.approx(1.0, abs=1e-3)
    assert "outside X" in answer.reason


def test_a_plant_that_the_set_does_not_bear_is_refuted_in_natural_coordinates():
    def step(x, a, w):
        return drone().step(x, 0.5 * a, w)

    model = Model("weak", step, 2, 1, 1, {"dt": 0.1})
    answer = prove(drone_claim(model=model))
    assert answer.status == "counterexample"
    x = answer.counterexample
    assert np.all(np.asarray(drone_claim().safe_state_set.H, np.float64) @ x <= 10)
    assert 1 <= x[0] <= 9


def test_a_cover_around_a_point_outside_is_none():
    S = drone_claim().safe_state_set
    candidate = cover(S, DRONE_CENTER)
    assert uncovered(candidate, S, DRONE_CENTER) is None
    assert "does not lie strictly inside" in uncovered(candidate, S, np.zeros(2))
    # The same simplices somewhere else are no cover.
    assert "inside the half-space" in uncovered(candidate, S, DRONE_CENTER + np.array([0.5, 0.0]))


def test_vertices_and_states_are_placed_exactly():
    S = drone_claim().safe_state_set
    candidate = cover(S, DRONE_CENTER)
    assert vertex_outside(candidate, DRONE_LIMITS, DRONE_CENTER) is None
    assert vertex_outside(candidate, DRONE_LIMITS, DRONE_CENTER + np.array([0.1, 0.0])) is not None
    rows = [[exact(v) for v in row] for row in S.H]
    for point in candidate.points:
        x = pulled_inside(point, S, DRONE_CENTER)
        values = [sum(a * exact(v) for a, v in zip(row, x, strict=True)) for row in rows]
        assert all(value <= exact(h) for value, h in zip(values, S.h, strict=True))
        np.testing.assert_allclose(x - DRONE_CENTER, point, rtol=1e-7, atol=1e-12)


def test_seen_from_the_origin_a_set_is_itself():
    assert seen_from(DRONE_SET, np.zeros(2)) is DRONE_SET


# The file.


def test_the_centre_is_in_the_file_and_in_the_digest(tmp_path):
    claim = drone_claim(center=DRONE_CENTER)
    proof = prove(claim)
    Certificate(claim, "hall", proof=proof).save(tmp_path / "hall.json")
    content = json.loads((tmp_path / "hall.json").read_text())
    assert content["center"] == [5.0, 0.0]
    loaded = Certificate.load(tmp_path / "hall.json", drone())
    assert loaded.claim.digest == claim.digest
    assert loaded.record == proof.record
    assert drone_claim().digest != claim.digest
    Certificate(plane_claim(), "plane").save(tmp_path / "plane.json")
    assert prove(Certificate.load(tmp_path / "plane.json", plane()).claim).proved
