"""Thin adapters of one core, `safeguards.safe_action`, to the environment interfaces."""

from ._brax import SafeguardWrapper as SafeguardWrapper
from ._gymnasium import Draw as Draw
from ._gymnasium import GymEnv as GymEnv
from ._gymnasium_vector import GymVectorEnv as GymVectorEnv
from ._gymnasium_wrapper import GymSafeguardWrapper as GymSafeguardWrapper
from ._sb3 import as_vec_env as as_vec_env
