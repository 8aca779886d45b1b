"""A car that keeps its lane and stops before obstacles, whatever its driver asks for.

Two sets are proved. In the lane a step is half a metre of way, not a time: what a steering angle
does depends on the way alone, and a slower car makes a part of the step. The set is convex, so a
part of a step to a safe state is safe; a car at rest stays safe. The car carries a backup plan of
its steering, which goes along with the way. The other set says how fast the car may be how far from
an obstacle. Obstacles that go away are followed by others, farther away.

python examples/12_car.py [--quick]
"""

import sys

import jax
import numpy as np
from jax import numpy as jnp
from matplotlib import pyplot as plt
from scipy.optimize import linprog

import safe_wrappers as sw
from safe_wrappers.certificates import Block

TICK, TOP, WHEELBASE = 0.05, 10.0, 2.8  # s between two decisions, m/s, m
WAY = TICK * TOP  # the most that a car drives in a tick
TURN, BRAKE, GAS, HILL = 0.03, 6.0, 2.0, 0.5  # rad/m, m/s^2; HILL: slopes and head winds
LANE = np.array([1.0, 0.15, 0.06])  # limits of offset (m), heading and steering angle (rad)
DRIFT = np.array([0.02, 0.001])  # by side winds and the road's slope, m/m and rad/m
SIGHT, CREEP = 40.0, 0.3  # m; m/s backwards, which the model may roll and the car's brakes prevent


def lane_step(x, turn, drift):
    """Offset, heading and steering angle after half a metre."""
    _, heading, steering = x
    slopes = [jnp.sin(heading) + drift[0], jnp.tan(steering) / WHEELBASE + drift[1], turn[0]]
    return x + WAY * jnp.stack(slopes)


def stop_step(x, pedal, hill):
    """Gap to the obstacle and speed after a tick."""
    rate = pedal[0] + hill[0]
    return jnp.stack([x[0] - TICK * x[1] - TICK**2 / 2 * rate, x[1] + TICK * rate])


def sets(horizon=6, progress=True):
    """The certificates of the lane, by a gain and by a plan, and of the stop."""
    # By this a curve leaves a step in a straight line, per metre.
    steepest = np.tan(LANE[2]) / WHEELBASE + DRIFT[1], TURN / np.cos(LANE[2]) ** 2 / WHEELBASE
    by_gain = sw.certify(
        sw.Model("lane", lane_step, 3, 1, 2, action_box=sw.Box.symmetric([TURN])),
        constraints=sw.Box.symmetric(LANE),
        disturbances=sw.Box.symmetric(DRIFT + WAY / 2 * np.array(steepest)),
        blocks=[Block((0, 1, 2), (0,))],
        factors="gain",
        progress=progress,
    )
    stop = sw.certify(
        sw.Model("stop", stop_step, 2, 1, 1, action_box=sw.Box([-BRAKE], [GAS])),
        # Half a tick of way ahead, so that a car that stops within a tick stops in time.
        constraints=sw.Polytope([[-1, TICK / 2], [1, 0], [0, -1], [0, 1]], [0, SIGHT, CREEP, TOP]),
        disturbances=sw.Box.symmetric([HILL]),
        progress=progress,
    )
    return by_gain, sw.carry_plan(by_gain, horizon, progress=progress), stop


def car(y, speed, turn, pedal, hill, drift, parts=10):
    """The car itself, in time and in float64: y after a tick, its speed, the way that it drove and
    how far it came ahead. Brakes hold a car that stands.
    """
    ahead, way = np.zeros((2, len(speed)))
    for _ in range(parts):
        after = np.maximum(speed + TICK / parts * (pedal + hill), 0.0)
        stops = np.where(after > 0, np.inf, speed / np.maximum(-(pedal + hill), 1e-9))
        ds = np.minimum(stops, TICK / parts) * (speed + after) / 2
        bend = np.tan(y[:, 2] + turn * ds / 2) / WHEELBASE + drift[:, 1]
        heading = y[:, 1] + bend * ds / 2
        y = y + ds[:, None] * np.stack([np.sin(heading) + drift[:, 0], bend, turn], axis=1)
        ahead, way, speed = ahead + ds * np.cos(heading), way + ds, after
    return y, speed, way, ahead


def requests(driver, rng, held, y):
    """Steering and pedal that a driver asks for, shape (cars, 2)."""
    if driver == "random":
        return rng.uniform([-TURN, -BRAKE], [TURN, GAS], (len(y), 2))
    if driver == "held":  # one extreme or the other, for a while
        return np.where(held > 0, [TURN, GAS], [-TURN, -BRAKE])
    steer = np.sign(0.99 - y[:, 0] - 6.0 * y[:, 1] - 9.0 * y[:, 2])  # greedy: along an edge, fast
    return np.stack([TURN * steer, np.full(len(y), GAS)], axis=1)


def drive(lane, stop, driver, cars, steps, *, safe=True, seed=0):
    """Many cars, pushed outwards or at random by the drift, up and down hills.

    Returns:
        Offset, heading, steering, gap and speed, shape (steps, cars, 5), the least margins of both
        sets, and how often there was no safe action.
    """
    rng, guard = np.random.default_rng(seed), sw.BoundaryProjection()
    systems = [sw.ModelSystem(each, state=lambda x: x) for each in (lane, stop)]

    @jax.jit
    @jax.vmap
    def decide(*given):
        outputs = [sw.safe_action(s, guard, given[i], given[i + 2]) for i, s in enumerate(systems)]
        margins = [s.margin(given[i]) for i, s in enumerate(systems)]
        return [o.action for o in outputs], margins, [o.fallback for o in outputs]

    keys = jax.random.split(jax.random.PRNGKey(seed), 4 * cars)
    x, z = (np.asarray(jax.vmap(s.sample_initial)(keys), np.float64) for s in systems)
    x, z = x[:cars], z[(z[:, 1] >= 0) & (z[:, 0] < SIGHT - 1)][:cars]
    gap, speed = z.T
    held, states, least, failed = np.ones((cars, 2)), [], np.full(2, np.inf), 0
    for _ in range(steps):
        states.append(np.column_stack([x[:, :3], gap, speed]))
        held = np.where(rng.random(held.shape) < 0.03, -held, held)
        asked = np.float32(requests(driver, rng, held, x))
        turn, pedal = asked.T.astype(np.float64)
        if safe:
            seen = np.column_stack([np.minimum(gap, SIGHT - 1), speed])
            action, margins, flags = decide(*map(np.float32, (x, seen)), asked[:, :1], asked[:, 1:])
            turn, pedal = (np.asarray(one, np.float64)[:, 0] for one in action)
            least, failed = np.minimum(least, np.min(margins, axis=1)), failed + np.sum(flags)
        push = np.where(
            rng.random((cars, 2)) < 0.5, np.sign(x[:, :1]), rng.choice([-1, 1], (cars, 2))
        )
        hill = HILL * rng.choice([-1, 1], cars)
        y, speed, way, ahead = car(x[:, :3], speed, turn, pedal, hill, DRIFT * push)
        x = sw.models.next_plan(lane.claim.model, x, y, np.clip(way / WAY, 0, 1))
        gone = (rng.random(cars) < 0.01) & (gap < SIGHT)
        gap = gap - ahead + np.where(gone, rng.uniform(5, 60, cars), 0.0)
    return np.array(states), least, failed


def shares_of_lane(by_gain, lane, points=3_000):
    """Which part of the limits in the lane the gain keeps, and which has a plan: by a linear
    program at each of so many points.
    """
    H0, H = (np.asarray(c.claim.safe_state_set.H, np.float64) for c in (by_gain, lane))
    x = np.random.default_rng(0).uniform(-LANE, LANE, (points, 3))
    nothing = np.zeros(H.shape[1] - 3)
    found = [linprog(nothing, H[:, 3:], 1 - H[:, :3] @ y, bounds=(None, None)).status for y in x]
    return np.mean((x @ H0.T <= 1).all(axis=1)), np.mean(np.equal(found, 0))


def draw(stop, states):
    """One car in time, and all cars before obstacles in their set."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    figure.suptitle("The driver wants to go fast along the left edge, and obstacles come")
    time, car = TICK * np.arange(len(states)), states[:, 0]
    axes[0].plot(time, np.minimum(car[:, 3], SIGHT), color="0.7", label="gap (m)")
    axes[0].plot(time, car[:, 4], label="speed (m/s)")
    axes[0].plot(time, 10 * car[:, 0], label="offset (0.1 m)")
    axes[0].set(xlabel="time (s)")
    axes[0].legend()
    axes[1].plot(*states[..., 3:].reshape(-1, 2).T, ".", markersize=1, alpha=0.3)
    sw.sets.draw(stop.claim.safe_state_set, axes[1], (0, 1), color="k")
    axes[1].set(xlabel="gap to the obstacle (m)", ylabel="speed (m/s)", xlim=(-1, SIGHT))
    figure.savefig("car.png")
    print("Wrote car.png")


def main():
    """Proves the sets and drives cars with and without the safeguard."""
    quick = "--quick" in sys.argv
    by_gain, lane, stop = sets()
    gain, plan = shares_of_lane(by_gain, lane, 300 if quick else 3_000)
    print(f"safe in the lane: {gain:.0%} of the limits by a gain, {plan:.0%} with a plan")
    cars, steps = (100, 300) if quick else (256, 1_000)
    for driver in ("random", "held", "greedy"):
        for safe in (True, False):
            states, least, failed = drive(lane, stop, driver, cars, steps, safe=safe)
            out, hit = (np.abs(states[..., :3]) > LANE).any(axis=2), states[..., 3] < 0
            print(f"{driver}, {'' if safe else 'not '}safeguarded, {out.size:,} steps: ", end="")
            print(f"{np.sum(out)} out of the lane, {np.sum(hit)} beyond an obstacle", end="")
            print(f", least margins {least}, {failed} without a safe action" * safe)
        if driver == "greedy":
            states, _, _ = drive(lane, stop, driver, cars, steps)
            stands = states[..., 3][states[..., 4] < 0.02]
            print(f"it stands {np.min(stands):.3f} to {np.median(stands):.3f} m before obstacles")
            draw(stop, states)


if __name__ == "__main__":
    main()
