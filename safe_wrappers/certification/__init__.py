"""From a plant to a proved certificate in one call: the search for a set and its proof, in turn."""

from ._carried_plan import carry_plan as carry_plan
from ._certify import certify as certify
from ._failure import NotProved as NotProved
