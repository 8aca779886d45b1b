"""Small convex programs that run inside jit: projection onto a polytope, and its deepest point."""

from ._active_set import project as project
from ._active_set import projection as projection
from ._deepest import Deepest as Deepest
from ._deepest import deepest_point as deepest_point
from ._deepest import max_margin as max_margin
from ._flat import onto_flat as onto_flat
