"""Your own robot arm: from its mass matrix and torques to a proved safe set, with a payload.

python examples/11_robot_arm.py [--quick]
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

import safe_wrappers as sw

QUICK = "--quick" in sys.argv
L1, L2, M1, M2, GRAVITY = 0.5, 0.4, 2.0, 1.2, 9.81  # links, m and kg, as thin rods
PAYLOAD = 0.1  # kg: between 0 and this much hangs at the tip, nobody knows how much


def mass_matrix(q, payload=PAYLOAD / 2):
    """The links and a payload; written with cos(q2), since intervals of differences are narrow."""
    near, far = M1 * L1**2 / 3 + (M2 + payload) * L1**2, (M2 / 3 + payload) * L2**2
    both = (M2 / 2 + payload) * L1 * L2 * jnp.cos(q[1])
    return jnp.stack([jnp.stack([near + far + 2 * both, far + both]), jnp.stack([far + both, far])])


def bias(q, speed, payload=PAYLOAD / 2):
    """Coriolis and gravity torques; q = 0 hangs down."""
    turn = (M2 / 2 + payload) * L1 * L2 * jnp.sin(q[1])
    upper = (M1 / 2 + M2 + payload) * GRAVITY * L1 * jnp.sin(q[0])
    lower = (M2 / 2 + payload) * GRAVITY * L2 * jnp.sin(q[0] + q[1])
    coriolis = -turn * speed[1] * (2 * speed[0] + speed[1])
    return jnp.stack([coriolis + upper + lower, turn * speed[0] ** 2 + lower])


def main():
    """Proves a set for all payloads that were met, and drives the arm with each of them."""
    armature = jnp.array([0.2, 0.05])  # kg m^2, the motors behind their gears
    model = sw.models.Mechanical(
        mass_matrix, bias, torque=[45.0, 16.0], dt=0.02, armature=armature, name="my arm"
    )
    limits, V = sw.Box.symmetric([2.5, 2.5, 2.0, 2.0]), sw.Box.symmetric([4.0, 7.0])

    def error(x, v, payload):  # of the acceleration, with another payload than the model's
        torque = (mass_matrix(x[:2]) + jnp.diag(armature)) @ v + bias(x[:2], x[2:])
        inertia = mass_matrix(x[:2], payload) + jnp.diag(armature)
        return jnp.linalg.solve(inertia, torque - bias(x[:2], x[2:], payload)) - v

    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    count = 20_000 if QUICK else 500_000
    payloads = jax.random.uniform(keys[2], (count,), maxval=PAYLOAD)
    points = limits.sample(keys[0], (count,)), V.sample(keys[1], (count,)), payloads
    largest = jnp.abs(jax.jit(jax.vmap(error))(*points)).max(axis=0)
    print("a payload accelerates the joints by up to", np.round(largest, 2), "rad/s^2, as found")
    W = sw.Box.symmetric(1.3 * largest)  # found at points: that it is enough is tested, not proved
    certificate = sw.certify(model, constraints=limits, disturbances=W, inputs=V)
    for part in sw.prove(certificate.claim).parts:
        print(f"  {part.name}" + (f": {part.found}" if part.found else ""))

    system = sw.ModelSystem(certificate, state=lambda state: state)
    guard, steps, rng = sw.BoundaryProjection(), 200 if QUICK else 2_000, np.random.default_rng(0)

    def step(x, request, payload):  # the real arm with its payload
        executed = sw.safe_action(system, guard, x, request).action
        inertia = mass_matrix(x[:2], payload) + jnp.diag(armature)
        speed = x[2:] + 0.02 * jnp.linalg.solve(inertia, executed - bias(x[:2], x[2:], payload))
        return jnp.concatenate([x[:2] + 0.02 * speed, speed])

    many, drive = jnp.linspace(0.0, PAYLOAD, 50), jax.jit(jax.vmap(step))
    x, path, least = jnp.zeros((50, 4)), [], np.inf
    torque = rng.choice([-1.0, 1.0], (50, 2))
    for _ in range(steps):  # full torque one way or the other, held for a while
        torque = np.where(rng.random((50, 2)) < 0.05, -torque, torque)
        x = drive(x, jnp.asarray(torque * [45.0, 16.0], jnp.float32), many)
        path.append(x)
        least = min(least, float(jax.vmap(system.margin)(x).min()))
    print(f"{50 * steps:,} steps with {len(many)} payloads, full torque: least margin {least:.2g}")

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    figure.suptitle("The safe set (grey, proved), and the states of the arm with 50 payloads")
    for joint, ax in enumerate(axes):
        states = np.concatenate(path)
        ax.plot(states[:, joint], states[:, joint + 2], ".", markersize=1, alpha=0.3)
        factor = certificate.claim.blocks[joint].factor(certificate.claim.safe_state_set)
        sw.sets.draw(factor, ax, (0, 1), color="k")
        ax.set(xlabel=f"joint {joint + 1} (rad)", ylabel="speed (rad/s)")
    plt.savefig("robot_arm.png")
    print("Wrote robot_arm.png")


if __name__ == "__main__":
    main()
