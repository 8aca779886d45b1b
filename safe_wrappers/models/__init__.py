"""One-step models x' = f(x, a, w), written once in JAX: the environment steps them and the prover
encloses them.
"""

from ._action_units import ActionUnits as ActionUnits
from ._affinity import require_affine as require_affine
from ._carried_plan import BlockPlan as BlockPlan
from ._carried_plan import carried_plan as carried_plan
from ._carried_plan import next_plan as next_plan
from ._commanded import Commanded as Commanded
from ._commanded import moves as moves
from ._known_operations import require_known_operations as require_known_operations
from ._mechanical import POSITIVE_SEMIDEFINITE as POSITIVE_SEMIDEFINITE
from ._mechanical import Cascade as Cascade
from ._mechanical import Mechanical as Mechanical
from ._model import Affine as Affine
from ._model import Model as Model
from ._program import jaxpr_digest as jaxpr_digest
from ._program import program_digest as program_digest
from ._remainder import EnclosedModel as EnclosedModel
from ._remainder import Remainder as Remainder
from ._remainder import enclosed as enclosed
from ._virtual import Inputs as Inputs
from ._virtual import InVirtualInputs as InVirtualInputs
from ._virtual import VirtualInputs as VirtualInputs
from ._virtual import useful_inputs as useful_inputs
