"""Environments whose actions are replaced by safe ones, for Brax, Gymnasium and Playground."""

from ._brax_wrapper import SafeguardWrapper as SafeguardWrapper
from ._gymnasium_wrapper import GymSafeguardWrapper as GymSafeguardWrapper
