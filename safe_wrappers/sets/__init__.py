"""Convex sets as frozen pytrees with pure functions.

They do not depend on actions or environments.
"""

from ._box import Box as Box
from ._containment import Containment as Containment
from ._containment import zonotope_in_zonotope as zonotope_in_zonotope
from ._draw import draw as draw
from ._draw import outline as outline
from ._polytope import Polytope as Polytope
from ._triangulation import Triangulation as Triangulation
from ._zonotope import Zonotope as Zonotope
