"""The safe action set of a state, from the model, the safe state set and the disturbance set, or
given explicitly.
"""

from ._action_set import SafeActionSet as SafeActionSet
from ._common import SystemOfModel as SystemOfModel
from ._common import units_of as units_of
from ._explicit import ExplicitSystem as ExplicitSystem
from ._model_system import Commands as Commands
from ._model_system import ModelSystem as ModelSystem
from ._protocol import FacetedSystem as FacetedSystem
from ._protocol import ModelBased as ModelBased
from ._protocol import SteppingSystem as SteppingSystem
from ._protocol import System as System
from ._rounded_actions import onto_space as onto_space
from ._step_check import Explanation as Explanation
from ._step_check import StepCheck as StepCheck
from ._zonotope_system import ZonotopeSystem as ZonotopeSystem
