"""Environments whose actions are replaced by safe ones, for Brax, Gymnasium and Playground."""

from ._brax_wrapper import SafeguardWrapper as SafeguardWrapper
from ._core import safe_action as safe_action
from ._diagnostics import GradientDiagnosis as GradientDiagnosis
from ._diagnostics import diagnose_gradient as diagnose_gradient
from ._gymnasium_wrapper import GymSafeguardWrapper as GymSafeguardWrapper
