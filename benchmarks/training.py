"""Wall time of SHAC's training behind each safeguard, relative to none: default settings,
compilation excluded.

The variants take turns and medians are compared, so that a drift of the machine's speed cancels in
the ratio.

    python benchmarks/training.py
    python benchmarks/training.py --systems safe_quadrotor --safeguards all --repeats 5
"""

import argparse
import inspect
import os
import platform

import jax
import jax.numpy as jnp
from brax.training.acme import running_statistics
from throughput import SAFEGUARDS, listed, safeguards_argument, seconds_side_by_side

import safe_wrappers as sw
from safe_wrappers.algos import shac
from safe_wrappers.algos.shac.learner import Hyperparameters, Learner
from safe_wrappers.algos.shac.rollout import wrap

DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(shac.train).parameters.items()
}


def training(env, num_timesteps):
    """A compiled function without arguments: a whole training with the defaults of `train`.

    Its wall time does not depend on hyperparameters.
    """
    networks = shac.make_shac_networks(
        env.observation_size,
        env.action_size,
        preprocess_observations_fn=running_statistics.normalize,
    )
    shape = [
        DEFAULTS[name]
        for name in ("num_envs", "horizon_length", "train_episode_length", "num_critic_updates")
    ]
    learner = Learner(wrap(env, DEFAULTS["train_episode_length"]), networks, *shape)
    num_updates = -(-num_timesteps // learner.steps_per_update)
    given = {
        "num_updates": num_updates,
        "regularisation": 0.1 if isinstance(env, sw.SafeguardWrapper) else 0.0,
    }
    hyper = jax.tree.map(
        jnp.float32,
        Hyperparameters(
            **{name: given.get(name, DEFAULTS.get(name)) for name in Hyperparameters._fields}
        ),
    )
    state = jax.jit(learner.init)(jax.random.PRNGKey(0), hyper)
    epoch = jax.jit(learner.epoch).lower(state, hyper, jnp.int32(0)).compile()
    return lambda: jax.block_until_ready(epoch(state, hyper, jnp.int32(num_updates)))


def main():
    """Prints one row per system and safeguard."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--systems", nargs="+", default=["safe_pendulum", "safe_cart_pole", "safe_quadrotor"]
    )
    safeguards_argument(parser)
    parser.add_argument("--num-timesteps", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()

    print(
        f"{platform.machine()}, {os.cpu_count()} cores, jax {jax.__version__}, "
        f"{args.num_timesteps} interactions, medians of {args.repeats}"
    )
    print(f"{'system':16s} {'safeguard':22s} {'seconds':>8s} {'steps/s':>9s} {'ratio':>6s}")
    for system in args.systems:
        env = sw.envs.get_environment(system)
        variants = {"none": env} | {
            name: sw.SafeguardWrapper(env, SAFEGUARDS[name]) for name in listed(args.safeguards)
        }
        seconds = seconds_side_by_side(
            [training(variant, args.num_timesteps) for variant in variants.values()], args.repeats
        )
        for name, median in zip(variants, seconds, strict=True):
            print(
                f"{system:16s} {name:22s} {median:8.2f} {args.num_timesteps / median:9,.0f} "
                f"{median / seconds[0]:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
