"""Safeguards as differentiable environment wrappers: provably safe reinforcement learning on JAX
and Brax.

Importing registers the bundled systems with Brax and Gymnasium and changes nothing else. It takes
no time: each name is imported when it is first used, and so are JAX, Brax and MuJoCo.
"""

import importlib.metadata as _metadata
import typing as _typing

# First: with a compiler that is known to be wrong, this is where it ends.
from . import _compiler as _compiler
from ._lazy import lazy as _lazy
from ._registered import register as _register
from ._registered import silence as _silence

# What `__getattr__` finds. Type checkers read the imports below; a test compares the two.
_ROOMS = (
    "adapters",
    "algos",
    "auditing",
    "certificates",
    "certification",
    "conformance",
    "deployment",
    "envs",
    "evaluation",
    "experiments",
    "falsification",
    "models",
    "plots",
    "safe_actions",
    "safeguards",
    "sets",
    "simulators",
    "solvers",
    "synthesis",
    "testing",
    "wrappers",
)
_NAMES = {
    "_errors": (
        "CertificateError",
        "ContractError",
        "ForkedProcessError",
        "MissingDependencyError",
        "ModelError",
        "SafeWrappersError",
        "SetDimensionError",
        "UnknownOptionError",
        "WrapperOrderError",
    ),
    "adapters": (
        "GymEnv",
        "GymVectorEnv",
        "GymnaxEnv",
        "as_vec_env",
    ),
    "certificates": (
        "Block",
        "Certificate",
        "Claim",
        "Guarantee",
        "Proof",
        "prove",
    ),
    "certification": (
        "NotProved",
        "carry_plan",
        "certify",
    ),
    "conformance": (
        "ConformanceReport",
        "conform",
    ),
    "deployment": (
        "Exported",
        "Observation",
        "Watchdog",
        "export_controller",
        "load_policy",
        "save_policy",
    ),
    "falsification": (
        "AttackReport",
        "SoakReport",
        "attack",
        "soak",
    ),
    "models": ("Model",),
    "safe_actions": (
        "ExplicitSystem",
        "ModelSystem",
        "SafeActionSet",
        "System",
        "ZonotopeSystem",
    ),
    "safeguards": (
        "Blend",
        "BoundaryProjection",
        "Exact",
        "GaugeMap",
        "GeneratorMask",
        "GradientDiagnosis",
        "GradientRule",
        "Inward",
        "Passthrough",
        "RayMask",
        "Replacement",
        "Safeguard",
        "SafeguardOutput",
        "StraightThrough",
        "diagnose_gradient",
        "safe_action",
    ),
    "sets": (
        "Box",
        "Polytope",
        "Zonotope",
        "zonotope_in_zonotope",
    ),
    "simulators": (
        "BraxPlant",
        "GymPlant",
        "PlaygroundPlant",
        "fit_remainder",
        "fit_surrogate",
    ),
    "synthesis": ("SynthesisError",),
    "wrappers": (
        "GymSafeguardWrapper",
        "SafeguardWrapper",
    ),
    "wrappers._playground_wrapper": ("PlaygroundSafeguardWrapper",),
}

if _typing.TYPE_CHECKING:
    from . import adapters as adapters
    from . import algos as algos
    from . import auditing as auditing
    from . import certificates as certificates
    from . import certification as certification
    from . import conformance as conformance
    from . import deployment as deployment
    from . import envs as envs
    from . import evaluation as evaluation
    from . import experiments as experiments
    from . import falsification as falsification
    from . import models as models
    from . import plots as plots
    from . import safe_actions as safe_actions
    from . import safeguards as safeguards
    from . import sets as sets
    from . import simulators as simulators
    from . import solvers as solvers
    from . import synthesis as synthesis
    from . import testing as testing
    from . import wrappers as wrappers

    # Errors: each says what must hold, what was found and what to write instead.
    from ._errors import CertificateError as CertificateError
    from ._errors import ContractError as ContractError
    from ._errors import ForkedProcessError as ForkedProcessError
    from ._errors import MissingDependencyError as MissingDependencyError
    from ._errors import ModelError as ModelError
    from ._errors import SafeWrappersError as SafeWrappersError
    from ._errors import SetDimensionError as SetDimensionError
    from ._errors import UnknownOptionError as UnknownOptionError
    from ._errors import WrapperOrderError as WrapperOrderError

    # adapters: Brax environments for Gymnasium, Stable-Baselines3 and gymnax.
    from .adapters import GymEnv as GymEnv
    from .adapters import GymnaxEnv as GymnaxEnv
    from .adapters import GymVectorEnv as GymVectorEnv
    from .adapters import as_vec_env as as_vec_env

    # certificates: what is claimed, its proof, and what stands behind an environment.
    from .certificates import Block as Block
    from .certificates import Certificate as Certificate
    from .certificates import Claim as Claim
    from .certificates import Guarantee as Guarantee
    from .certificates import Proof as Proof
    from .certificates import prove as prove

    # certification: from a plant to a proved certificate in one call.
    from .certification import NotProved as NotProved
    from .certification import carry_plan as carry_plan
    from .certification import certify as certify

    # conformance: is a simulator covered by its model and disturbance set?
    from .conformance import ConformanceReport as ConformanceReport
    from .conformance import conform as conform

    # deployment: from a trained policy to a controller that runs.
    from .deployment import Exported as Exported
    from .deployment import Observation as Observation
    from .deployment import Watchdog as Watchdog
    from .deployment import export_controller as export_controller
    from .deployment import load_policy as load_policy
    from .deployment import save_policy as save_policy

    # falsification: attempts to make a safeguarded plant leave its safe set.
    from .falsification import AttackReport as AttackReport
    from .falsification import SoakReport as SoakReport
    from .falsification import attack as attack
    from .falsification import soak as soak

    # models: one-step models x' = f(x, a, w).
    from .models import Model as Model

    # safe_actions: systems, which know the safe actions of a state.
    from .safe_actions import ExplicitSystem as ExplicitSystem
    from .safe_actions import ModelSystem as ModelSystem
    from .safe_actions import SafeActionSet as SafeActionSet
    from .safe_actions import System as System
    from .safe_actions import ZonotopeSystem as ZonotopeSystem

    # safeguards: maps from any action to a safe one, and what becomes of gradients.
    from .safeguards import Blend as Blend
    from .safeguards import BoundaryProjection as BoundaryProjection
    from .safeguards import Exact as Exact
    from .safeguards import GaugeMap as GaugeMap
    from .safeguards import GeneratorMask as GeneratorMask
    from .safeguards import GradientDiagnosis as GradientDiagnosis
    from .safeguards import GradientRule as GradientRule
    from .safeguards import Inward as Inward
    from .safeguards import Passthrough as Passthrough
    from .safeguards import RayMask as RayMask
    from .safeguards import Replacement as Replacement
    from .safeguards import Safeguard as Safeguard
    from .safeguards import SafeguardOutput as SafeguardOutput
    from .safeguards import StraightThrough as StraightThrough
    from .safeguards import diagnose_gradient as diagnose_gradient
    from .safeguards import safe_action as safe_action

    # sets: convex sets.
    from .sets import Box as Box
    from .sets import Polytope as Polytope
    from .sets import Zonotope as Zonotope
    from .sets import zonotope_in_zonotope as zonotope_in_zonotope

    # simulators: models read off environments of Brax, Playground and Gymnasium.
    from .simulators import BraxPlant as BraxPlant
    from .simulators import GymPlant as GymPlant
    from .simulators import PlaygroundPlant as PlaygroundPlant
    from .simulators import fit_remainder as fit_remainder
    from .simulators import fit_surrogate as fit_surrogate

    # synthesis: the search for safe sets.
    from .synthesis import SynthesisError as SynthesisError

    # wrappers: environments whose actions are replaced by safe ones.
    from .wrappers import GymSafeguardWrapper as GymSafeguardWrapper
    from .wrappers import SafeguardWrapper as SafeguardWrapper
    from .wrappers._playground_wrapper import (
        PlaygroundSafeguardWrapper as PlaygroundSafeguardWrapper,
    )

__getattr__, __dir__ = _lazy(__name__, _ROOMS, _NAMES, hidden=("PlaygroundSafeguardWrapper",))
__version__ = _metadata.version("safe-wrappers")

_silence()
_register()
