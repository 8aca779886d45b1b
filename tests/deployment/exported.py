"""Exported NumPy controllers for the tests, and a plant of the tests' own."""

import functools
import pathlib
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from plants import PLANTS

import safe_wrappers as sw
from safe_wrappers.deployment._numpy_files import load_controller, numpy_files
from safe_wrappers.deployment._task import Task

REQUESTS = (0.3, -0.0, 1e-40, 5.0, -1e30, np.inf, -np.inf, np.nan)


CENTER = np.array([5.0, -3.0, 10.0], np.float32)


def arm_step(x, a, w):
    """Two joints with coupled inertia far from the origin, volts in, and a drift that is integrated
    in a loop.
    """
    x = x - CENTER
    drift = jax.lax.fori_loop(0, 2, lambda _, y: y - 0.1 * jnp.tanh(y) - 0.05 * y, x)
    inertia = jnp.array([[2.0, 0.3], [0.3, 1.5]]) + 0.3 * jnp.cos(x[2]) * jnp.eye(2)
    pushed = jnp.linalg.solve(inertia, jnp.array([0.1 * a[0], 0.4 * (a[1] - 2.0)]) + w)
    return CENTER + 0.8 * drift + jnp.concatenate([pushed, 0.2 * pushed[:1]])


def arm_plant(x, a, w):
    """The same in float64 NumPy, a in volts; shapes (..., 3), (..., 2), (2,)."""
    x = x - CENTER.astype(np.float64)
    drift = x
    for _ in range(2):
        drift = drift - 0.1 * np.tanh(drift) - 0.05 * drift
    inertia = np.array([[2.0, 0.3], [0.3, 1.5]]) + 0.3 * np.cos(x[..., 2])[
        ..., None, None
    ] * np.eye(2)
    force = np.stack([0.1 * a[..., 0], 0.4 * (a[..., 1] - 2.0)], axis=-1) + w
    pushed = np.linalg.solve(inertia, force[..., None])[..., 0]
    return CENTER + 0.8 * drift + np.concatenate([pushed, 0.2 * pushed[..., :1]], axis=-1)


@functools.cache
def arm():
    """A system with two actions in volts, whose set is no product: its anchor needs a solver."""
    model = sw.Model(
        "arm",
        arm_step,
        3,
        disturbance_size=2,
        action_box=sw.Box([-12.0, -1.0], [12.0, 5.0]),
    )
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
    facets = np.concatenate([signs / 1.5, np.eye(3), -np.eye(3)])
    claim = sw.Claim(
        model,
        safe_state_set=sw.Polytope(facets, 1.0 + facets @ CENTER),
        constraint_set=sw.Box(CENTER - 1.01, CENTER + 1.01),
        center=CENTER,
        disturbance_set=sw.Box.symmetric([0.02, 0.02]),
    )
    return sw.ModelSystem(claim, state=lambda state: state)


@functools.cache
def system_of(name):
    return arm() if name == "arm" else sw.envs.get_environment(name).system


def plant_of(name):
    return arm_plant if name == "arm" else PLANTS[name]


SYSTEMS = ("safe_pendulum", "safe_cart_pole", "safe_quadrotor", "arm")


def built(system, safeguard, policy=None, observe=None, task=None):
    """The controller, by the files that an export writes."""
    files = numpy_files(system, safeguard, policy, Task(observe, task or {}), "test")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        return load_controller(pathlib.Path(folder))


@functools.cache
def controller_of(name, safeguard=sw.BoundaryProjection):
    return built(system_of(name), safeguard())


def states_of(system, count, seed=0):
    """States of S, half of them within 3e-6 of its boundary, float32."""
    keys = jax.random.split(jax.random.PRNGKey(seed), count)
    x = np.asarray(jax.jit(jax.vmap(system.sample_initial))(keys), np.float64)
    H, h = (np.asarray(value, np.float64) for value in system.safe_state_set.halfspaces())
    center = system.center.astype(np.float64)
    moved = x[: count // 2] - center
    gauge = np.max(moved @ H.T / (h - H @ center), axis=1)
    x[: count // 2] = center + moved / gauge[:, None] * (1 - 3e-6)
    return x.astype(np.float32)


def requests_of(system, count, seed=0):
    """Requests in natural units, a third of them beyond the action box, and hostile ones."""
    rng = np.random.default_rng(seed)
    units = system.action_units
    unit = rng.uniform(-1.5, 1.5, (count, system.action_size))
    hostile = rng.uniform(size=count) < 0.1
    unit[hostile] = rng.choice(REQUESTS, (hostile.sum(), system.action_size))
    return (units.center + units.half_width * unit).astype(np.float32)


def worst_margin(name, x, action):
    """The least margin of the next states over the vertices of W, by the plant in float64, for
    actions in natural units; shapes (states, n), (states, d).
    """
    system = system_of(name)
    H, h = (np.asarray(value, np.float64) for value in system.safe_state_set.halfspaces())
    corners = np.asarray(system.disturbance_set.vertices(), np.float64)
    nexts = [plant_of(name)(x.astype(np.float64), action, w) for w in corners]
    return np.min([(h - y @ H.T).min(axis=1) for y in nexts], axis=0)
