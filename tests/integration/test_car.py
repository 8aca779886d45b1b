"""The car of `examples/12_car.py`: it keeps its lane and stops before obstacles, in time and in
float64, though its sets are proved in steps of way and of time. What the proofs leave to words is
checked here at the corners of the sets, in exact rationals.
"""

import functools
import importlib.util
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import safe_wrappers as sw
from safe_wrappers.certificates import prove
from safe_wrappers.certificates._polygon_proof import vertices

PATH = Path(__file__).parents[2] / "examples" / "12_car.py"
STEPS, CARS = 250, 128


@functools.cache
def example():
    spec = importlib.util.spec_from_file_location("car", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def sets():
    return example().sets(progress=False)


@pytest.mark.parametrize("driver", ["random", "held", "greedy"])
def test_no_exit_and_without_the_safeguard_it_leaves_the_lane_or_hits(driver):
    _, lane, stop = sets()
    states, least, failed = example().drive(lane, stop, driver, CARS, STEPS)
    assert (np.abs(states[..., :3]) <= example().LANE).all()
    assert (states[..., 3] >= 0).all()
    assert ((states[..., 4] >= 0) & (states[..., 4] <= example().TOP)).all()
    assert least.min() >= 0
    assert failed == 0
    free, _, _ = example().drive(lane, stop, driver, CARS, STEPS, safe=False)
    assert (np.abs(free[..., 0]) > example().LANE[0]).mean() > 0.1
    assert (free[..., 3] < 0).mean() > 0.005


def test_who_drives_at_obstacles_stops_just_before_them():
    _, lane, stop = sets()
    states, _, _ = example().drive(lane, stop, "greedy", CARS, STEPS, seed=1)
    stands = states[..., 4] < 0.02
    assert stands.mean() > 0.02
    assert 0 < np.median(states[..., 3][stands]) < 0.5
    assert states[..., 4].max() > 0.99 * example().TOP


def test_the_plan_makes_the_lane_larger():
    by_gain, lane, _ = sets()
    by_gain_alone, with_plan = example().shares_of_lane(by_gain, lane, points=300)
    assert with_plan > by_gain_alone + 0.05
    # As much as the search leaves: what the multipliers' program misses costs nothing.
    assert lane.record.margin > 1.95e-4


def exact_rows(claim):
    H, h = claim.safe_state_set.halfspaces()
    return [[Fraction(float(v)) for v in row] for row in H], [Fraction(float(v)) for v in h]


def inside(rows, state):
    return all(a * state[0] + b * state[1] <= h for (a, b), h in zip(*rows, strict=True))


def corners(rows, *more):
    """Of the stop set where more rows (a, b, h) hold."""
    H, h = rows
    return vertices(
        [*H, *[[Fraction(a), Fraction(b)] for a, b, _ in more]], [*h, *[e for *_, e in more]]
    )


def test_a_car_that_stops_within_a_tick_is_in_the_set_of_cars_that_can_stop():
    """The model's car would roll back at the end of the tick. A car that brakes to a halt drives at
    most half of what its speed would take it in a tick; the set is convex.
    """
    car, rows = example(), exact_rows(sets()[2].claim)
    tick, seen = Fraction(car.TICK), Fraction(car.SIGHT) - 1
    fastest = tick * Fraction(car.BRAKE + car.HILL)
    found = corners(rows, (0, -1, Fraction(0)), (0, 1, fastest), (1, 0, seen))
    assert len(found) >= 4
    for gap, speed in found:
        assert inside(rows, (gap - speed * tick / 2, Fraction(0)))


def test_an_obstacle_that_goes_away_leaves_the_car_in_the_set():
    """The gap grows, up to what is seen: the whole way there is in the set, as both ends are."""
    car, rows = example(), exact_rows(sets()[2].claim)
    found = corners(rows, (0, -1, Fraction(0)), (1, 0, Fraction(car.SIGHT) - 1))
    fastest = max(speed for _, speed in found)
    assert fastest <= car.TOP
    for speed in (Fraction(0), fastest):
        assert inside(rows, (Fraction(car.SIGHT) - 1, speed))


def test_a_part_of_a_step_is_within_the_disturbances_of_the_model():
    """The car in time, with drifts, ends where the model's step leads that share of the way, for
    some disturbance of the claim.
    """
    car, claim = example(), sets()[0].claim
    rng, most = np.random.default_rng(0), np.asarray(claim.disturbance_set.upper, np.float64)
    y = rng.uniform(-car.LANE, car.LANE, (2_000, 3))
    turn = rng.choice([-car.TURN, car.TURN], 2_000)
    y[:, 2] = np.clip(y[:, 2], -0.06 + 0.015, 0.06 - 0.015)  # it stays within the limits
    drift = car.DRIFT * rng.choice([-1, 1], (2_000, 2))
    speed = rng.uniform(0, car.TOP, 2_000)
    pedal = rng.uniform(-car.BRAKE, np.minimum(car.GAS, (car.TOP - speed) / car.TICK))
    after, _, way, ahead = car.car(y, speed, turn, pedal, np.zeros(2_000), drift)
    assert (way <= car.WAY + 1e-12).all()
    assert (ahead <= way).all()
    np.testing.assert_allclose(after[:, 2], y[:, 2] + turn * way, atol=1e-12)
    moved = way > 1e-3
    slopes = np.stack([np.sin(y[:, 1]), np.tan(y[:, 2]) / car.WHEELBASE], axis=1)
    found = ((after - y)[:, :2] / np.maximum(way, 1e-9)[:, None] - slopes)[moved]
    assert (np.abs(found) <= most + 1e-9).all()
    assert (np.abs(found).max(axis=0) > 0.8 * most).all()


def another(claim, **changed):
    """The same claim of another plant."""
    model = claim.model
    fields = {name: getattr(model, name) for name in ("name", "step", "action_box")} | changed
    return sw.Claim(
        sw.Model(
            fields["name"],
            fields["step"],
            model.state_size,
            model.action_size,
            model.disturbance_size,
            action_box=fields["action_box"],
        ),
        safe_state_set=claim.safe_state_set,
        constraint_set=claim.constraint_set,
        disturbance_set=fields.get("disturbance_set", claim.disturbance_set),
        center=claim.center,
        sigma=claim.sigma,
        blocks=claim.blocks,
        virtual=claim.virtual,
    )


def test_the_sets_of_other_cars_are_not_proved():
    car, (_, lane, stop) = example(), sets()
    assert prove(another(stop.claim)).proved
    weaker = another(stop.claim, action_box=sw.Box([-0.9 * car.BRAKE], [car.GAS]))
    assert prove(weaker).status == "counterexample"
    assert prove(another(lane.claim)).proved
    slower = another(lane.claim, action_box=sw.Box.symmetric([0.9 * car.TURN]))
    windier = another(
        lane.claim, disturbance_set=sw.Box.symmetric(1.1 * lane.claim.disturbance_set.upper)
    )

    def without_answers(x, action, drift):
        """The plan moves up, and what happened is not answered."""
        after = lane.claim.model.step(x, action, drift)
        still = lane.claim.model.step(x, x[3:4] * car.TURN, 0 * drift)
        return after.at[3:].set(still[3:])

    for claim in (slower, windier, another(lane.claim, step=without_answers)):
        assert prove(claim).status == "inconclusive"
