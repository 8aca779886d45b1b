"""Small convex programs that run inside jit: projection onto a polytope, and its deepest point."""

from ._active_set import max_margin as max_margin
from ._active_set import project as project
