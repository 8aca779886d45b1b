"""What must hold of each argument of `train`; the command line reads the same table."""

from typing import Any, Protocol, runtime_checkable

from safe_wrappers._arguments import (
    FLAG,
    SEED,
    Argument,
    function,
    instance,
    integer,
    new_folder,
    number,
    old_folder,
    pair,
)

# Brax counts the steps of an episode in float32, which holds integers up to here.
_LONGEST_EPISODE = 2**24
_MOST = 2**20


@runtime_checkable
class _Steppable(Protocol):
    """What is asked of an environment before it is used: Brax's and Playground's have it."""

    def reset(self, rng: Any, /) -> Any: ...

    def step(self, state: Any, action: Any, /) -> Any: ...


_environment = instance(_Steppable, "an environment of Brax, safeguarded or not")
_episode_length = integer(1, _LONGEST_EPISODE + 1)
_count = integer(1, _MOST + 1)
# Below, an optimiser's step in float32 is lost in rounding or flushed to zero.
_learning_rate = number(1e-12, 1e3)
_share = number(0.0, 1.0)

ARGUMENTS: dict[str, Argument] = {
    "environment": _environment,
    "num_timesteps": integer(1, 10**12 + 1),
    "episode_length": _episode_length,
    "wrap_env": FLAG,
    "wrap_env_fn": function(),
    "num_envs": _count,
    "horizon_length": _count,
    "train_episode_length": _episode_length.or_none(),
    "num_critic_updates": _count,
    "learning_rate": _learning_rate,
    "critic_learning_rate": _learning_rate,
    "final_learning_rate_fraction": _share,
    "adam_b": pair(number(0.0, 0.999999)),
    "max_gradient_norm": number(1e-12, 1e30),
    "discounting": _share,
    "td_lambda": _share,
    "tau": _share,
    "reward_scaling": number(1e-12, 1e12),
    "regularisation": number(0.0, 1e12).or_none(),
    "normalize_observations": FLAG,
    "normalize_rewards": FLAG,
    "network_factory": function(),
    "seed": SEED,
    "num_evals": _count,
    "run_evals": FLAG,
    "eval_env": _environment.or_none(),
    "num_eval_envs": _count,
    "deterministic_eval": FLAG,
    "progress_fn": function(),
    "policy_params_fn": function(),
    "save_checkpoint_path": new_folder().or_none(),
    "keep": integer(0, _MOST + 1),
    "restore_checkpoint_path": old_folder().or_none(),
}
