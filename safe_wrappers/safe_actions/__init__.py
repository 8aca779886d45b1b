"""The safe action set of a state, from the model, the safe state set and the disturbance set."""

from ._action_set import SafeActionSet as SafeActionSet
from ._system import ModelSystem as ModelSystem
from ._system import System as System
