"""Plants read off a simulator of Brax, Playground or Gymnasium: models come from the environment's
own steps.

What is said of them is tested, never proved.
"""

from ._brax_plant import BraxPlant as BraxPlant
from ._gym_plant import GymPlant as GymPlant
from ._mechanical_fit import MechanicalFit as MechanicalFit
from ._playground_plant import PlaygroundPlant as PlaygroundPlant
from ._remainder_fit import RemainderFit as RemainderFit
from ._remainder_fit import fit_remainder as fit_remainder
from ._surrogate import Surrogate as Surrogate
from ._surrogate import fit_surrogate as fit_surrogate
