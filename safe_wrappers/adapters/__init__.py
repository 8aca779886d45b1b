"""Brax environments, safeguarded or not, for Gymnasium, Stable-Baselines3 and gymnax."""

from ._brax_trainers import enable_brax_trainers as enable_brax_trainers
from ._gym_env import Draw as Draw
from ._gym_env import GymEnv as GymEnv
from ._gym_vector_env import GymVectorEnv as GymVectorEnv
from ._gymnax_env import GymnaxEnv as GymnaxEnv
from ._gymnax_env import GymnaxParams as GymnaxParams
from ._gymnax_env import GymnaxState as GymnaxState
from ._sb3 import as_vec_env as as_vec_env
