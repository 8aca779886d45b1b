import jax.numpy as jnp
import numpy as np
import pytest
from params import slow

import safe_wrappers as sw
from safe_wrappers.certificates._proof import proved_here

W = sw.Box.symmetric([0.3])


def axis_step(x, a, w):
    """One axis of a vehicle with drag."""
    speed = x[1] + 0.1 * (2 * a[0] - 0.05 * x[1] * jnp.abs(x[1]) + w[0])
    return jnp.stack([x[0] + 0.1 * speed, speed])


AXIS = sw.Model("axis", axis_step, 2, 1, 1)
LIMITS = sw.Box([1.0, -2.0], [9.0, 3.0])


@pytest.fixture(scope="module")
def certificate():
    return sw.certify(AXIS, constraints=LIMITS, disturbances=W, progress=False)


def extremes(polytope):
    vertices = polytope.vertices()
    return vertices.min(axis=0), vertices.max(axis=0)


def test_limits_off_centre_and_lopsided_are_used_to_both_ends(certificate):
    low, high = extremes(certificate.claim.safe_state_set)
    assert low == pytest.approx([1, -2], abs=1e-3)
    assert high == pytest.approx([9, 3], abs=1e-3)
    assert np.all(low >= LIMITS.lower)
    assert np.all(high <= LIMITS.upper)


def test_the_claim_is_proved_in_this_process_and_recorded(certificate):
    assert certificate.record is not None
    assert proved_here(certificate.claim) == certificate.record
    assert certificate.name == "axis"


def test_what_the_certificate_says_of_its_size_is_so(certificate):
    facts = certificate.metadata
    area = certificate.claim.safe_state_set.volume()
    assert facts["volume"] == pytest.approx(area, rel=1e-5)
    assert facts["share_of_constraints"] == pytest.approx(area / 40, abs=1e-3)
    assert 0.97 <= facts["share_of_largest"] <= 1.01
    assert facts["facets"] == len(certificate.claim.safe_state_set.H) <= 20


def test_the_same_call_gives_the_same_set_bit_by_bit(certificate):
    again = sw.certify(AXIS, constraints=LIMITS, disturbances=W, progress=False)
    assert again.claim.digest == certificate.claim.digest


def test_bang_bang_requests_leave_the_set_without_the_safeguard_and_never_with_it(certificate):
    S = certificate.claim.safe_state_set
    system = sw.ModelSystem(certificate, state=lambda x: x)
    H, h = (np.asarray(part, np.float64) for part in S.halfspaces())
    for safeguarded in (True, False):
        rng, x, exits = np.random.default_rng(0), np.array([5.0, 0.0], np.float32), 0
        for i in range(150):
            request = np.array([1.0 if (i // 25) % 2 else -1.0], np.float32)
            if safeguarded:
                request = sw.safe_action(system, sw.BoundaryProjection(), x, request).action
            w = rng.choice([-0.3, 0.3], 1).astype(np.float32)
            x = np.asarray(AXIS(x, request, w))
            exits += bool((H @ x.astype(np.float64) > h).any())
        assert (exits == 0) == safeguarded


def test_fewer_facets_can_be_asked_for(certificate):
    small = sw.certify(
        AXIS, constraints=LIMITS, disturbances=W, facets=6, name="small", progress=False
    )
    assert len(small.claim.safe_state_set.H) <= 6
    assert small.name == "small"
    assert 0.75 < small.metadata["volume"] / certificate.metadata["volume"] < 1


def cruise(limit):
    """A car behind another one: the gap in m, its change in m/s, and the lead car's acceleration
    of at most `limit` m/s^2 against 4 m/s^2 of one's own.
    """

    def step(x, a, w):
        closing = x[1] + 0.1 * (w[0] - 4.0 * a[0])
        return jnp.stack([x[0] + 0.1 * closing, closing])

    return {
        "model": sw.Model("cruise", step, 2, 1, 1),
        "constraints": sw.Box([5.0, -12.0], [100.0, 12.0]),
        "disturbances": sw.Box.symmetric([limit]),
    }


@pytest.mark.parametrize(("limit", "area"), [*slow((2.5, 1_700)), (3.0, 1_150)])
def test_a_strong_disturbance_leaves_most_of_what_is_possible(limit, area):
    certificate = sw.certify(**cruise(limit), progress=False)
    assert certificate.metadata["volume"] >= area
    # By hand, the largest sets have areas of 1,903 and 1,711 m^2/s.
    assert certificate.metadata["share_of_largest"] >= 0.9


def test_a_polytope_of_constraints_such_as_a_time_headway():
    def step(x, a, w):  # the gap to a car that drives 20 m/s, give or take 2, and one's own speed
        speed = x[1] + 0.4 * a[0]
        return jnp.stack([x[0] + 0.1 * (20.0 + w[0] - speed), speed])

    headway = sw.Polytope([[-1.0, 0.5], [1, 0], [0, -1], [0, 1]], [-5.0, 100, 0, 35])
    certificate = sw.certify(
        sw.Model("headway", step, 2, 1, 1),
        constraints=headway,
        disturbances=sw.Box.symmetric([2.0]),
        facets=12,
        progress=False,
    )
    vertices = certificate.claim.safe_state_set.vertices()
    assert np.all(vertices[:, 0] >= 5 + 0.5 * vertices[:, 1])
    assert certificate.metadata["share_of_largest"] > 0.88
    # The safe set presses on the headway: the constraint is used, not avoided.
    assert (vertices[:, 0] - 5 - 0.5 * vertices[:, 1]).min() < 0.01


@pytest.mark.slow
def test_a_plant_of_two_axes_is_searched_axis_by_axis_and_proved_as_a_product():
    def step(x, a, w):
        position, speed = x[:2], x[2:]
        speed = speed + 0.1 * (2 * a - 0.05 * speed * jnp.abs(speed) + w)
        return jnp.concatenate([position + 0.1 * speed, speed])

    certificate = sw.certify(
        sw.Model("planar", step, 4, 2, 2),
        constraints=sw.Box([1.0, -4, -2, -2], [9.0, 4, 3, 2]),
        disturbances=sw.Box.symmetric([0.3, 0.3]),
        facets=8,
        progress=False,
    )
    assert [list(block) for block in certificate.claim.blocks] == [[(0, 2), (0,)], [(1, 3), (1,)]]
    assert certificate.metadata["blocks"] == [[0, 2], [1, 3]]
    assert certificate.record is not None
    assert certificate.metadata["volume"] > 900
    assert certificate.metadata["volume"] == pytest.approx(
        certificate.claim.safe_state_set.volume(), rel=1e-4
    )
    # A set of two axes has at most the product of their shares.
    assert 0.8 < certificate.metadata["share_of_largest"] < 1


def tank_step(x, a, w):
    return x + 0.5 * (a - 5.0 - w)


TANK = sw.Model(
    "tank", tank_step, 1, 1, 1, action_box=sw.Box([0.0], [10.0]), state_names=("level",)
)


def test_one_state_is_an_interval():
    certificate = sw.certify(
        TANK, constraints=sw.Box([20.0], [60.0]), disturbances=sw.Box.symmetric([1.0])
    )
    low, high = extremes(certificate.claim.safe_state_set)
    assert (*low, *high) == pytest.approx((20, 60), abs=1e-3)
    assert certificate.metadata["share_of_largest"] == 1


def test_one_state_with_too_little_authority_keeps_what_it_can():
    def step(x, a, w):  # unstable: beyond |x| = 2.5 the action is too weak
        return 1.1 * x + 0.5 * a + 0.25 * w

    certificate = sw.certify(
        sw.Model("unstable", step, 1, 1, 1),
        constraints=sw.Box([-10.0], [4.0]),
        disturbances=sw.Box.symmetric([1.0]),
        progress=False,
    )
    low, high = extremes(certificate.claim.safe_state_set)
    assert (*low, *high) == pytest.approx((-2.5, 2.5), abs=0.02)


def test_a_centre_that_only_weak_disturbances_allow_is_left_for_a_better_one():
    """The middle of the limits can be held, but not against the wind; nearer to 0 the plant can."""

    def step(x, a, w):
        return jnp.stack([1.1 * x[0] + 0.5 * a[0] + 0.25 * w[0], 0.5 * x[1] + 0.5 * a[1]])

    tilted = sw.Polytope([[-1.0, 0.1], [1, 0.1], [0, 1], [0, -1]], [5.0, 1.0, 1.0, 1.0])
    certificate = sw.certify(
        sw.Model("tilted", step, 2, 2, 1),
        constraints=tilted,
        disturbances=sw.Box.symmetric([1.0]),
        facets=8,
        progress=False,
    )
    low, _ = extremes(certificate.claim.safe_state_set)
    assert low[0] == pytest.approx(-2.5, abs=0.1)
    assert certificate.metadata["share_of_largest"] > 0.95


def test_one_state_that_the_disturbance_moves_further_than_the_actions():
    with pytest.raises(sw.SynthesisError, match=r"moves it by up to 3 a step .* actions by 2\.5"):
        sw.certify(TANK, constraints=sw.Box([20.0], [60.0]), disturbances=sw.Box.symmetric([6.0]))


def test_a_model_without_disturbances():
    def step(x, a, w):
        return axis_step(x, a, jnp.zeros(1, x.dtype))

    certificate = sw.certify(
        sw.Model("still", step, 2, 1), constraints=LIMITS, facets=8, progress=False
    )
    assert certificate.metadata["share_of_constraints"] > 0.9


def test_a_disturbance_that_vanishes_where_a_state_cannot_go_further():
    """The speed of a car that lies between 0 and 10 m/s, and an own speed that has to stay near
    it: the other car is in the model, though no action reaches it.
    """

    def step(x, a, w):
        lead, own = x
        room = jnp.clip(jnp.minimum(lead, 10.0 - lead) / 0.1, 0.0, 2.0)
        returned = jnp.clip(lead, 0.0, 10.0)
        lead = lead + 0.1 * room * w[0] + 0.5 * (returned - lead)
        return jnp.stack([lead, own + 0.3 * a[0]])

    near = sw.Polytope(
        [[1.0, 0], [-1, 0], [1, -1], [-1, 1]], [10.5, 0.5, 3.0, 3.0]
    )  # |lead - own| <= 3 m/s
    arguments = {"constraints": near, "disturbances": sw.Box.symmetric([1.0]), "progress": False}
    certificate = sw.certify(sw.Model("lead", step, 2, 1, 1), **arguments)
    low, high = extremes(certificate.claim.safe_state_set)
    assert low[0] < 0
    assert high[0] > 10

    def drifting(x, a, w):
        return jnp.stack([x[0] + 0.2 * w[0], x[1] + 0.3 * a[0]])

    with pytest.raises(sw.SynthesisError, match=r"No action reaches lead .*function of the state"):
        sw.certify(
            sw.Model("drift", drifting, 2, 1, 1, state_names=("lead", "own")),
            seeds=1,
            iterations=20,
            **arguments,
        )


def test_the_line_at_the_end_fits_and_what_is_shown_has_80_columns(capsys):
    sw.certify(AXIS, constraints=LIMITS, disturbances=W, facets=6, seeds=1)
    shown = capsys.readouterr().err.replace("\r", "\n").split("\n")
    lines = [line for line in shown if line.strip()]
    assert "of the largest safe set; proved with" in lines[-1]
    assert any("search 1 of 2, W x 1" in line for line in lines)
    assert all(len(line) < 80 for line in lines[:-1])
    assert not any(": :" in line for line in lines)
    sw.certify(AXIS, constraints=LIMITS, disturbances=W, facets=6, seeds=1, progress=False)
    assert capsys.readouterr().err == ""
