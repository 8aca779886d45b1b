"""Search for large robust control invariant polytopes.

It proves nothing: `safe_wrappers.certificates` does.
"""

from ._equilibrium import equilibrium as equilibrium
from ._failure import SynthesisError as SynthesisError
from ._limits import require_inside as require_inside
from ._synthesise import SynthesisResult as SynthesisResult
from ._synthesise import mirror_symmetric as mirror_symmetric
from ._synthesise import synthesise as synthesise
