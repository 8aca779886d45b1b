"""Safeguards: maps from any action to a safe one. They do not depend on environments."""

from ._base import Safeguard as Safeguard
from ._base import SafeguardOutput as SafeguardOutput
from ._boundary_projection import BoundaryProjection as BoundaryProjection
from ._diagnosis import GradientDiagnosis as GradientDiagnosis
from ._diagnosis import diagnose_gradient as diagnose_gradient
from ._gauge_map import GaugeMap as GaugeMap
from ._generator_mask import GeneratorMask as GeneratorMask
from ._gradient_rules import Blend as Blend
from ._gradient_rules import Exact as Exact
from ._gradient_rules import GradientRule as GradientRule
from ._gradient_rules import Inward as Inward
from ._gradient_rules import Passthrough as Passthrough
from ._gradient_rules import StraightThrough as StraightThrough
from ._gradient_rules import is_known as is_known
from ._ray_mask import RayMask as RayMask
from ._registry import NAMES as NAMES
from ._registry import make_safeguard as make_safeguard
from ._replacement import Replacement as Replacement
from ._safe_action import safe_action as safe_action
from ._safe_action import safe_unit_action as safe_unit_action
