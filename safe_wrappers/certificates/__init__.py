"""Certificates of safe state sets: the claim, its file, and its proof, which needs nothing of how
the set was found.
"""

from ._file import Certificate as Certificate
from ._product import Block as Block
from ._proof import prove as prove
from ._result import ProofResult as ProofResult
