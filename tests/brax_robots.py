"""Brax's own arms with a safeguard around all their joints, from nothing but the environments.

python tests/brax_robots.py pusher --output pusher.json   # a million steps of each kind of requests
"""

import argparse
import functools
import json
import sys
import time
from pathlib import Path

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np

import safe_wrappers as sw

# rad, and rad/s; the pusher's arm in front of it and above its table.
LIMITS = {
    "reacher": sw.Box.symmetric([3.0, 2.5, 8.0, 8.0]),
    "pusher": sw.Box(
        [-1.5, -0.5, -1.0, -2.0, -1.2, -1.0, -1.2, -0.35, *[-0.5] * 6],
        [1.2, 0.2, 1.0, -0.3, 1.2, -0.1, 1.2, 0.35, *[0.5] * 6],
    ),
}
# What the motors bring about everywhere, rad/s^2; the search for the largest such box takes minutes
# for seven joints.
INPUTS = {"pusher": sw.Box.symmetric([0.5, 0.65, 0.7, 0.8, 1.0, 1.0, 1.0])}
KINDS = ("random", "bang-bang", "greedy")
_FLAGS = ("intervention", "unmodelled", "infeasible")


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
        inputs=INPUTS.get(name),
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


@functools.cache
def rollout(name, steps, safe=True):
    """A compiled (index into KINDS, keys) -> states (N, T, n), and whether the safeguard stepped
    in, or reported that W does not explain a step or that no action was safe, each (N, T).
    """
    plant, system = robot(name)[0], system_of(name)
    env = safeguarded(name, monitor=True) if safe else plant.env
    d = system.action_size
    flags = _FLAGS if safe else ()

    def episode(kind, key):
        start, signs, requests = jax.random.split(key, 3)

        def step(carry, key):
            state, held = carry
            flip, draw = jax.random.split(key)
            held = jnp.where(jax.random.bernoulli(flip, 0.2, (d,)), -held, held)
            request = jax.lax.switch(
                kind,
                (
                    lambda: jax.random.uniform(draw, (d,), minval=-1.0),
                    lambda: held,
                    lambda: _greedy(system, system.state(state)),
                ),
            )
            after = env.step(state, request)
            after = after.replace(reward=jnp.float32(after.reward))
            found = [after.metrics[f"safeguard/{flag}_per_step"] for flag in flags]
            return (after, held), (system.state(after), found)

        first = env.reset(start) if safe else plant.reset_to(system.sample_initial(start), start)
        first = first.replace(reward=jnp.float32(first.reward))
        held = jax.random.rademacher(signs, (d,), jnp.float32)
        return jax.lax.scan(step, (first, held), jax.random.split(requests, steps))[1]

    compiled = jax.jit(jax.vmap(episode, (None, 0)))
    return lambda kind, keys: compiled(KINDS.index(kind), keys)


def exits(name, x):
    """How many states are outside, in float64."""
    H, h = (np.asarray(part, np.float64) for part in system_of(name).safe_state_set.halfspaces())
    return int(np.sum(~(np.asarray(x, np.float64) @ H.T <= h).all(axis=-1)))


def main():
    """Runs many steps of each kind, and writes what came of them, again and again."""
    parser = argparse.ArgumentParser()
    parser.add_argument("robot", choices=LIMITS)
    parser.add_argument("--rounds", type=int, default=8, help="of 250 steps of all episodes")
    parser.add_argument("--episodes", type=int, default=500, help="side by side")
    parser.add_argument("--samples", type=int, default=16_384)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    began = time.perf_counter()
    _, fit, certificate = robot(options.robot, options.samples)
    found = {
        "fit": str(fit),
        "share_of_constraints": certificate.metadata["share_of_constraints"],
        "shares": certificate.metadata["shares"],
        "inputs": certificate.metadata["virtual_inputs"],
        "seconds": round(time.perf_counter() - began, 1),
        "guarantee": str(safeguarded(options.robot).guarantee),
    }
    print(found, flush=True)
    for seed in range(options.rounds):
        for kind in KINDS:
            keys = jax.random.split(jax.random.PRNGKey(seed), options.episodes)
            x, flags = rollout(options.robot, 250)(kind, keys)
            totals = found.setdefault(kind, dict.fromkeys(("steps", "exits", *_FLAGS), 0))
            totals["steps"] += x[..., 0].size
            totals["exits"] += exits(options.robot, x)
            for flag, values in zip(_FLAGS, flags, strict=True):
                totals[flag] += int(np.sum(values))
            options.output.write_text(json.dumps(found, indent=1))
    x, _ = rollout(options.robot, 100, safe=False)("bang-bang", keys)
    found["unsafeguarded"] = {"steps": x[..., 0].size, "exits": exits(options.robot, x)}
    report = sw.conform(safeguarded(options.robot))
    found["conform"] = report.message
    found["seconds"] = round(time.perf_counter() - began, 1)
    options.output.write_text(json.dumps(found, indent=1))
    print(found)


if __name__ == "__main__":
    sys.exit(main())
