"""MuJoCo Playground's CartpoleBalance behind a safeguard: its equations, a synthesised and proved
safe set, and bang-bang actions.

python examples/07_playground.py [--quick]
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from mujoco import mjx

import safe_wrappers as sw
from safe_wrappers.synthesis import synthesise

QUICK = "--quick" in sys.argv
ENVS, STEPS = (64, 200) if QUICK else (256, 2_000)
# The track ends at 1.8 m, where MuJoCo's joint limit, which the model does not have, would push
# back.
CONSTRAINTS = sw.Box([-1.7, -0.3, -np.inf, -np.inf], [1.7, 0.3, np.inf, np.inf])
# Accelerations of the cart (m/s^2) and of the pole (rad/s^2): what the equations leave out, and
# pushes from outside.
DISTURBANCES = sw.Box.symmetric([0.05, 0.1])


def cart_pole(mj_model) -> sw.Model:
    """dm_control's cart-pole with the parameters of its MJCF: Lagrange's equations, integrated as
    MuJoCo's Euler does without implicit damping.

    State (x m, th rad, x_dot m/s, th_dot rad/s), th = 0 upright; force gear * a on the cart;
    disturbances are additive accelerations.
    """
    (_, cart, pole), inertia, length = (
        mj_model.body_mass,
        mj_model.body_inertia[2, 1],
        mj_model.body_ipos[2, 2],
    )
    (slide, hinge), gear, gravity, dt = (
        mj_model.dof_damping,
        mj_model.actuator_gear[0, 0],
        -mj_model.opt.gravity[2],
        mj_model.opt.timestep,
    )
    parameters = {
        "cart_mass": cart,
        "pole_mass": pole,
        "pole_inertia": inertia,
        "pole_center": length,
        "slide_damping": slide,
    }
    parameters |= {"hinge_damping": hinge, "gear": gear, "gravity": gravity, "dt": dt}
    parameters = {name: float(value) for name, value in parameters.items()}
    total, moment = float(cart + pole), float(pole * length)
    swing = float(inertia + pole * length**2)
    slide, hinge, gear, gravity, dt = (
        parameters[name] for name in ("slide_damping", "hinge_damping", "gear", "gravity", "dt")
    )

    def step(x, action, disturbance):
        position, angle, speed, rate = x
        sin, cos = jnp.sin(angle), jnp.cos(angle)
        push = gear * action[0] - slide * speed + moment * rate * rate * sin
        turn = moment * gravity * sin - hinge * rate
        determinant = total * swing - moment * moment * cos * cos
        speed = speed + dt * ((swing * push - moment * cos * turn) / determinant + disturbance[0])
        rate = rate + dt * ((total * turn - moment * cos * push) / determinant + disturbance[1])
        return jnp.stack([position + dt * speed, angle + dt * rate, speed, rate])

    return sw.Model(
        "playground_cartpole",
        step,
        state_size=4,
        action_size=1,
        disturbance_size=2,
        parameters=parameters,
    )


def state_of(state) -> jax.Array:
    """The model's state in Playground's."""
    return jnp.concatenate([state.data.qpos, state.data.qvel])


def proved_set(model: sw.Model) -> sw.Claim:
    """Synthesises a safe set and proves it."""
    result = synthesise(model, CONSTRAINTS, DISTURBANCES, facets=10, seeds=1, progress=False)
    claim = sw.Claim(
        model,
        safe_state_set=result.safe_state_set,
        constraint_set=CONSTRAINTS,
        disturbance_set=DISTURBANCES,
    )
    proof = sw.prove(claim)
    print(
        f"{len(result.safe_state_set.H)} facets, volume {result.volume:.2f}, found in "
        f"{result.seconds:.0f} s: {proof.status} with {proof.cells} cells"
    )
    if not proof.proved:
        raise SystemExit(proof.reason)
    return claim


def rollout(env, requests: np.ndarray) -> np.ndarray:
    """States, shape (T, N, 4), of a vectorised environment under the requests, shape (T, N, 1)."""

    def step(state, request):
        state = jax.vmap(env.step)(state, request)
        return state, jax.vmap(state_of)(state)

    keys = jax.random.split(jax.random.PRNGKey(0), requests.shape[1])
    return np.asarray(
        jax.jit(lambda keys, requests: jax.lax.scan(step, jax.vmap(env.reset)(keys), requests)[1])(
            keys, requests
        )
    )


def bang_bang_and_random(steps: int, envs: int) -> np.ndarray:
    """Requests in [-1, 1], shape (steps, envs, 1): half of the environments get random ones, half
    of them extreme ones that hold for a while.
    """
    rng = np.random.default_rng(0)
    extreme = np.where(
        np.cumsum(rng.random((steps, envs, 1)) < rng.uniform(0.02, 0.5, (envs, 1)), axis=0) % 2,
        1.0,
        -1.0,
    )
    return np.where(
        np.arange(envs)[:, None] % 2, extreme, rng.uniform(-1, 1, extreme.shape)
    ).astype(np.float32)


def start_at(env, x: jax.Array, key: jax.Array):
    """Playground's state after a reset, with the joints and their velocities as in x, shape
    (4,).
    """
    state = env.reset(key)
    data = mjx.forward(env.mjx_model, state.data.replace(qpos=x[:2], qvel=x[2:]))
    return state.replace(data=data, obs=env._get_obs(data, state.info))


def main():
    """Compares the equations with MuJoCo, synthesises, proves, and counts exits with and without
    the safeguard.
    """
    try:
        from mujoco_playground import registry
    except ImportError:
        print('MuJoCo Playground is missing; run `pip install "safe-wrappers[playground]"`.')
        return
    env = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})
    system = sw.ModelSystem(proved_set(cart_pole(env.mj_model)), state=state_of)

    safe = sw.PlaygroundSafeguardWrapper(env, sw.BoundaryProjection(), system=system)
    report = sw.conform(safe, start=functools.partial(start_at, env), samples=4_000)
    speed, rate = np.maximum(-report.total_cover.lower, report.total_cover.upper)
    print(
        f"{report.name} {report.message} The largest residuals are {speed:.1e} m/s^2 of 0.05 and "
        f"{rate:.1e} rad/s^2 of 0.1."
    )

    requests = bang_bang_and_random(STEPS, ENVS)
    margin = jax.jit(jax.vmap(jax.vmap(system.margin)))
    for name, which in (("safeguarded", safe), ("raw", env)):
        states = rollout(which, requests)
        margins = np.asarray(margin(states))
        outside = ~(margins >= 0)
        first = np.where(outside.any(axis=0), outside.argmax(axis=0), STEPS)
        print(
            f"{name}: {outside.size} steps, {outside.sum()} outside, first exit in the median "
            f"after step {np.median(first):.0f}, ",
            end="",
        )
        print(f"|th| <= {np.abs(states[..., 1]).max():.3f} rad")


if __name__ == "__main__":
    main()
