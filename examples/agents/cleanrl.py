"""CleanRL's scripts, unchanged. They were written for Gymnasium 0.29; here is what they expect of
it and what Gymnasium 1 does otherwise.

git clone https://github.com/vwxyzjn/cleanrl
python examples/agents/cleanrl.py cleanrl/cleanrl/ppo_continuous_action.py \
    --env-id SafeWrappers/Pendulum-v0 --total-timesteps 10000
"""

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import gymnasium
import numpy as np

import safe_wrappers as sw  # which registers the ids


class SyncVectorEnv(gymnasium.vector.SyncVectorEnv):
    """As in 0.29: the step that ends an episode starts the next one, and what belongs to the end is
    in `final_observation` and `final_info`, arrays of objects.
    """

    def __init__(self, env_fns):
        super().__init__(env_fns, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)

    def step(self, actions):
        observation, reward, terminated, truncated, info = super().step(actions)
        if "final_obs" in info:
            info["final_observation"] = info.pop("final_obs")
            episode, final = info["final_info"].get("episode", {}), np.full(self.num_envs, None)
            for i in np.flatnonzero(terminated | truncated):
                of_one = {k: np.array([v[i]]) for k, v in episode.items() if not k.startswith("_")}
                final[i] = {"episode": of_one} if of_one else {}
            info["final_info"] = final
        return observation, reward, terminated, truncated, info


class TransformObservation(gymnasium.wrappers.TransformObservation):
    """As in 0.29: the observation space stays what it was."""

    def __init__(self, env, f):
        super().__init__(env, f, env.observation_space)


@contextmanager
def as_of_old() -> Iterator[None]:
    """Gymnasium as these scripts know it."""
    with (
        mock.patch.object(gymnasium.vector, "SyncVectorEnv", SyncVectorEnv),
        mock.patch.object(gymnasium.wrappers, "TransformObservation", TransformObservation),
    ):
        yield


def run(script: str | Path, arguments: Sequence[str]) -> None:
    """Runs a script of CleanRL with its command line.

    Args:
        script: The file, in a checkout of CleanRL, whose `cleanrl_utils` it may import.
        arguments: For example ["--env-id", "SafeWrappers/Pendulum-v0"].
    """
    script = Path(script)
    path = [str(script.resolve().parents[1]), *sys.path]
    with as_of_old(), mock.patch.multiple(sys, argv=[str(script), *arguments], path=path):
        runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    print(f"{len(sw.envs.registered_names())} systems are registered with Gymnasium")
    run(sys.argv[1], sys.argv[2:])
