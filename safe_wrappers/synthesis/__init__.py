"""Search for large robust control invariant polytopes.

It proves nothing: `safe_wrappers.certificates` does.
"""

from ._search import SynthesisError as SynthesisError
from ._synthesise import SynthesisResult as SynthesisResult
from ._synthesise import synthesise as synthesise
