"""Agents that know nothing of safety, each with and without a safeguard: returns, and steps outside
the safe set.

python examples/06_agents.py [--quick | --write]

The default install runs the agents of Brax, SHAC and a PPO in one file; pip install
"safe-wrappers[agents]" adds those of Stable-Baselines3 and sbx. `--write` puts the table into
docs/agents.md.
"""

import collections
import pathlib
import re
import sys
import threading
import time
import warnings

import jax
import numpy as np
from agents import brax_agents, single_file_ppo

import safe_wrappers as sw

# Brax's trainers call names that jax and optax have deprecated
warnings.simplefilter("ignore", DeprecationWarning)
QUICK, WRITE = "--quick" in sys.argv, "--write" in sys.argv
SYSTEMS = ("safe_pendulum",) if QUICK else ("safe_pendulum", "safe_cart_pole", "safe_quadrotor")


def train_single_file_ppo(env, num_timesteps, seed=0):
    """The loop takes Gymnasium's vector environments."""
    return single_file_ppo.train(
        sw.GymVectorEnv(env, 64, max_episode_steps=240, autoreset_mode="SameStep"),
        num_timesteps,
        seed,
    )


AGENTS = {
    "SHAC": (brax_agents.train_shac, 20_000),
    "Brax APG": (brax_agents.train_apg, 50_000),
    "Brax PPO": (brax_agents.train_ppo, 100_000),
    "Brax SAC": (brax_agents.train_sac, 10_000),
    "PPO in one file": (train_single_file_ppo, 100_000),
}
try:
    from agents import sb3_agents
except ImportError as error:
    print(
        f"Without the agents of Stable-Baselines3 and sbx ({error}); install them by: pip "
        'install "safe-wrappers[agents]"'
    )
else:
    AGENTS |= {
        "Stable-Baselines3 PPO": (sb3_agents.train_ppo, 60_000),
        "Stable-Baselines3 SAC": (sb3_agents.train_sac, 10_000),
        "sbx SAC": (sb3_agents.train_sac_of_sbx, 10_000),
    }
if QUICK:
    AGENTS = {"PPO in one file": (train_single_file_ppo, 1_024)}


def make(system, safeguard, tally=None, regularisation=0.0):
    """The environment; whoever steps its inside, `tally` counts the steps, and those that end
    outside the safe set.
    """
    env = sw.envs.get_environment(system)
    if tally is not None:
        env = counted(type(env), tally)
    if not safeguard:
        return env
    return sw.SafeguardWrapper(env, sw.BoundaryProjection(), regularisation=regularisation)


def counted(kind, tally):
    """An environment of this kind that counts its steps."""
    lock = threading.Lock()

    def count(left):
        with lock:  # callbacks come from several threads
            tally.update(steps=left.size, outside=int(np.sum(left)))

    class Counted(kind):
        def step(self, state, action):
            state = super().step(state, action)
            jax.debug.callback(count, state.metrics["left_set_per_step"])
            return state

    return Counted()


def evaluate(system, safeguard, policy, num_envs=128):
    """Mean return of an episode of 240 steps, without regularisation, and the share of episodes
    that leave the safe set.
    """
    env = sw.GymVectorEnv(make(system, safeguard), num_envs)
    observation, _ = env.reset(seed=1)
    total, outside = np.zeros(num_envs), np.zeros(num_envs, bool)
    for _ in range(240):
        observation, _, _, _, info = env.step(policy(observation))
        total, outside = total + info["task_reward"], outside | ~(info["margin"] >= 0)
    return np.mean(total), np.mean(outside)


def main():
    """Trains every agent twice on every system; exits behind a safeguard are an error."""
    lines = [
        "| system | agent | safeguard | steps | steps outside in training | return | episodes "
        "that leave the set |",
        "|---|---|---|---|---|---|---|",
    ]
    print(*lines, sep="\n")
    for system in SYSTEMS:
        for name, (train, steps) in AGENTS.items():
            for safeguard in (True, False):
                tally, begin = collections.Counter(), time.perf_counter()
                # SHAC has its own
                policy = train(
                    make(system, safeguard, tally, 0.1 if safeguard and name != "SHAC" else 0.0),
                    steps,
                )
                jax.effects_barrier()
                total, outside = evaluate(system, safeguard, policy)
                kind = "boundary projection" if safeguard else "none"
                lines.append(
                    f"| `{system}` | {name} | {kind} | {tally['steps']:,} | "
                    f"{tally['outside']:,} | {total:,.1f} | {outside:.0%} |"
                )
                print(lines[-1], f" {time.perf_counter() - begin:.0f} s", flush=True)
                # what 48 trainings compile exhausts the memory maps of a process
                jax.clear_caches()
                if safeguard and (tally["outside"] or outside):
                    raise SystemExit(f"{name} left the safe set in spite of the safeguard.")
    if WRITE:
        page = pathlib.Path(__file__).parents[1] / "docs" / "agents.md"
        table = "\n".join(lines)
        page.write_text(
            re.sub(
                r"(?<=<!-- table -->\n).*(?=\n<!-- end of table -->)",
                table,
                page.read_text(),
                flags=re.DOTALL,
            )
        )


if __name__ == "__main__":
    main()
