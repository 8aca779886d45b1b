"""What must hold of each argument of `train`; the command line reads the same table, and
`train_many` adds `SEEDS` and `SWEEP`.
"""

from collections.abc import Iterable, Mapping
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
from safe_wrappers._scalars import shown

# Brax counts the steps of an episode in float32, which holds integers up to here.
_LONGEST_EPISODE = 2**24
_MOST = 2**20


@runtime_checkable
class _Steppable(Protocol):
    """What is asked of an environment before it is used: Brax's and Playground's have it."""

    def reset(self, rng: Any, /) -> Any: ...

    def step(self, state: Any, action: Any, /) -> Any: ...


def _mesh(name: str, value: Any) -> Any:
    from jax.sharding import Mesh  # which a help text does not need

    if not isinstance(value, Mesh) or len(value.axis_names) != 1:
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be a mesh with one axis, such as "
            '`jax.make_mesh((jax.device_count(),), ("envs",))`.'
        )
    return value


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
    "final_regularisation_fraction": _share,
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
    "mesh": Argument("a mesh of devices with one axis", _mesh, optional=True),
}


def _seeds(name: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be seeds, such as `range(10)`; for one seed "
            "there is `train`."
        )
    seeds = tuple(SEED(f"{name}[{i}]", seed) for i, seed in enumerate(value))
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"`{name}` is {shown(value)}, but it must be at least one seed, each of them once."
        )
    return seeds


# The options that are data of the compiled program, so that runs may differ in them.
SWEPT = (
    "learning_rate",
    "critic_learning_rate",
    "final_learning_rate_fraction",
    "adam_b",
    "max_gradient_norm",
    "discounting",
    "td_lambda",
    "tau",
    "reward_scaling",
    "regularisation",
    "final_regularisation_fraction",
    "normalize_rewards",
)


def _sweep(name: str, value: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(value, Mapping):
        raise TypeError(
            f"`{name}` is {shown(value)}, but it must be a dictionary of options and their values, "
            'such as `{"learning_rate": [1e-3, 4e-3]}`.'
        )
    sweep = {}
    for option, values in value.items():
        if option not in SWEPT:
            raise ValueError(
                f"`{name}` has {shown(option)}, but runs side by side may differ in "
                f"{', '.join(SWEPT)} only; call `train_many` once per value instead."
            )
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise TypeError(
                f"`{name}[{option!r}]` is {shown(values)}, but it must be a list of values."
            )
        sweep[option] = tuple(
            ARGUMENTS[option]._replace(optional=False)(f"{name}[{option!r}][{i}]", each)
            for i, each in enumerate(values)
        )
        if not sweep[option]:
            raise ValueError(
                f"`{name}[{option!r}]` is {shown(values)}, but it must hold at least one value."
            )
    return sweep


SEEDS = Argument("seeds, each an integer from 0 to 2^32 - 1", _seeds)
SWEEP = Argument("a dictionary of options and lists of their values", _sweep, optional=True)
