"""Environments whose actions are replaced by safe ones, for Brax, Gymnasium and Playground."""

from ._brax_wrapper import SafeguardWrapper as SafeguardWrapper
from ._gymnasium_wrapper import GymSafeguardWrapper as GymSafeguardWrapper
from ._protocols import BoundedEnv as BoundedEnv
from ._protocols import HasBraxEnv as HasBraxEnv
from ._protocols import SafeguardedEnv as SafeguardedEnv
from ._protocols import StartableEnv as StartableEnv
from ._protocols import SystemEnv as SystemEnv
