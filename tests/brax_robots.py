"""Brax's own arms with a safeguard around all their joints, from nothing but the environments."""

import functools

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw

# rad, and rad/s; the pusher's arm in front of it and above its table.
LIMITS = {
    "reacher": sw.Box.symmetric([3.0, 2.5, 8.0, 8.0]),
    "pusher": sw.Box(
        [-1.5, -0.5, -1.0, -2.0, -1.2, -1.0, -1.2, *[-0.5] * 7],
        [1.2, 0.2, 1.0, -0.3, 1.2, -0.1, 1.2, *[0.5] * 7],
    ),
}
KINDS = ("random", "bang-bang", "greedy")


@functools.cache
def robot(name, samples=16_384):
    """The plant, its mechanical model with disturbances, and the certificate."""
    joints = range(len(LIMITS[name].lower) // 2)
    plant = sw.BraxPlant(
        brax.envs.get_environment(name, backend="generalized"), q=joints, qd=joints
    )
    fit = plant.mechanical(LIMITS[name], jax.random.PRNGKey(0), samples=samples)
    certificate = sw.certify(
        fit.model,
        constraints=LIMITS[name],
        disturbances=fit.disturbance_set,
        name=name,
        progress=False,
    )
    return plant, fit, certificate


def system_of(name):
    plant, _, certificate = robot(name)
    return sw.ModelSystem(certificate, state=plant.state)


def safeguarded(name, **options):
    plant = robot(name)[0]
    return sw.SafeguardWrapper(
        plant.env,
        sw.BoundaryProjection(),
        system=system_of(name),
        reset_to=plant.reset_to,
        **options,
    )


def _greedy(system, x):
    """The vertex of the action box that, of all, brings the next state nearest to a facet."""
    c, B, _ = system.model.affine(x)
    H, h = (jnp.asarray(part, x.dtype) for part in system.safe_state_set.halfspaces())
    slopes = H @ B
    facet = jnp.argmax(H @ c + jnp.abs(slopes).sum(axis=1) - h)
    return jnp.where(slopes[facet] >= 0, 1.0, -1.0)


def rollout(name, kind, steps, safe=True):
    """A compiled (keys) -> states (N, T, n), and whether the safeguard stepped in, or reported that
    W does not explain a step or that no action was safe, each (N, T).
    """
    plant, system = robot(name)[0], system_of(name)
    env = safeguarded(name, monitor=True) if safe else plant.env
    d = system.action_size
    flags = ("intervention", "unmodelled", "infeasible")

    def episode(key):
        start, signs, requests = jax.random.split(key, 3)

        def step(carry, key):
            state, held = carry
            flip, draw = jax.random.split(key)
            held = jnp.where(jax.random.bernoulli(flip, 0.2, (d,)), -held, held)
            request = {
                "random": lambda: jax.random.uniform(draw, (d,), minval=-1.0),
                "bang-bang": lambda: held,
                "greedy": lambda: _greedy(system, system.state(state)),
            }[kind]()
            after = env.step(state, request)
            after = after.replace(reward=jnp.float32(after.reward))
            found = [after.metrics[f"safeguard/{flag}_per_step"] for flag in flags] if safe else []
            return (after, held), (system.state(after), found)

        if safe:
            first = env.reset(start)
        else:
            first = plant.reset_to(system.sample_initial(start), start)
        held = jax.random.rademacher(signs, (d,), jnp.float32)
        return jax.lax.scan(step, (first, held), jax.random.split(requests, steps))[1]

    return jax.jit(jax.vmap(episode))


def exits(name, x):
    """How many states are outside, in float64."""
    H, h = (np.asarray(part, np.float64) for part in system_of(name).safe_state_set.halfspaces())
    return int(np.sum(~(np.asarray(x, np.float64) @ H.T <= h).all(axis=-1)))
