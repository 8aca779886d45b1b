"""Env-steps per second, forward and backward, with and without a safeguard, side by side in one
run.

A rollout of 32 steps is differentiated w.r.t. its actions, which are uniform in the box, so that
many are unsafe. The variants take turns and medians are compared, so that a drift of the machine's
speed cancels in the ratio.

    python benchmarks/throughput.py
    python benchmarks/throughput.py --systems safe_pendulum --backends closed_form generalized
    --num-envs 8 512 python benchmarks/throughput.py --systems safe_quadrotor --safeguards all
    --num-envs 16 256
"""

import argparse
import itertools
import platform
import statistics
import time
from typing import get_args

import jax
import jax.numpy as jnp

import safe_wrappers as sw
from safe_wrappers.safeguards import NAMES, RayMask, make_safeguard
from safe_wrappers.safeguards._centers import Center
from safe_wrappers.safeguards._ray_mask import Mapping

STEPS = 32
# Each kind with its default options, and every ray mask by mapping and centre.
SAFEGUARDS = {name: make_safeguard(name) for name in NAMES}
SAFEGUARDS |= {
    f"{mapping}_{center}": RayMask(mapping=mapping, center=center)
    for mapping, center in itertools.product(get_args(Mapping), get_args(Center))
}


def safeguards_argument(parser):
    """Adds --safeguards: by default one of each kind, or "all" with every ray mask."""
    valid = [*SAFEGUARDS, "all"]
    parser.add_argument(
        "--safeguards",
        nargs="+",
        default=list(NAMES),
        choices=valid,
        metavar="SAFEGUARD",
        help=", ".join(valid),
    )


def listed(names):
    """The safeguards that --safeguards asks for."""
    return list(SAFEGUARDS) if "all" in names else names


def gradient_of_a_rollout(env, num_envs):
    """A compiled function without arguments: the gradient of the summed reward w.r.t. all actions
    of a batch of rollouts.
    """
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), num_envs))
    actions = jax.random.uniform(
        jax.random.PRNGKey(1), (STEPS, num_envs, env.action_size), minval=-1.0, maxval=1.0
    )

    def loss(actions, state):
        def step(state, action):
            state = jax.vmap(env.step)(state, action)
            return state, state.reward

        return jnp.sum(jax.lax.scan(step, state, actions)[1])

    compiled = jax.jit(jax.value_and_grad(loss)).lower(actions, state).compile()
    return lambda: jax.block_until_ready(compiled(actions, state))


def seconds_side_by_side(functions, repeats):
    """Median seconds of each function; in every repeat each runs once, in turn."""
    times = [[] for _ in functions]
    for function in functions:
        function()
    for _ in range(repeats):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


def main():
    """Prints one row per system, backend, safeguard and number of envs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", nargs="+", default=list(sw.envs.registered_names()))
    parser.add_argument("--backends", nargs="+", default=["closed_form"])
    safeguards_argument(parser)
    parser.add_argument("--num-envs", nargs="+", type=int, default=[8, 64, 512, 4096])
    parser.add_argument("--repeats", type=int, default=60)
    args = parser.parse_args()
    names = listed(args.safeguards)

    device = jax.devices()[0]
    print(
        f"{platform.machine()}, {jax.device_count()} {device.platform} device "
        f"({device.device_kind}), jax {jax.__version__}, float32"
    )
    print(
        f"{'system':16s} {'backend':12s} {'safeguard':22s} {'envs':>5s} {'raw steps/s':>12s} "
        f"{'safe steps/s':>13s} {'cost ratio':>10s}"
    )
    for system in args.systems:
        for backend in args.backends:
            env = sw.envs.get_environment(system, backend=backend)
            wrapped = [sw.SafeguardWrapper(env, SAFEGUARDS[name]) for name in names]
            for num_envs in args.num_envs:
                raw, *safe = seconds_side_by_side(
                    [gradient_of_a_rollout(e, num_envs) for e in [env, *wrapped]], args.repeats
                )
                for name, seconds in zip(names, safe, strict=True):
                    rates = (num_envs * STEPS / t for t in (raw, seconds))
                    print(
                        f"{system:16s} {backend:12s} {name:22s} {num_envs:5d} "
                        + "{:12,.0f} {:13,.0f}".format(*rates)
                        + f" {seconds / raw:10.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
