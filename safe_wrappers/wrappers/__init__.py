"""Thin adapters of one core, `safe_action`, to the environment interfaces."""

from ._brax import SafeguardWrapper as SafeguardWrapper
from ._core import safe_action as safe_action
