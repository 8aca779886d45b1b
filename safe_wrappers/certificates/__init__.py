"""Claims of safe state sets, their proof, and certificates: files of a claim and the record of its
proof. Nothing here knows how a set was found.
"""

from ._block import Block as Block
from ._certificate import Certificate as Certificate
from ._certificate import model_name as model_name
from ._certificate import model_parameters as model_parameters
from ._claim import RESERVE as RESERVE
from ._claim import Claim as Claim
from ._enclosure import dependence as dependence
from ._guarantee import COMPILED as COMPILED
from ._guarantee import CONFORMING as CONFORMING
from ._guarantee import DISTURBED as DISTURBED
from ._guarantee import OBSERVED as OBSERVED
from ._guarantee import Guarantee as Guarantee
from ._guarantee import Guaranteed as Guaranteed
from ._guarantee import guarantee_by_the_library as guarantee_by_the_library
from ._guarantee import guarantee_of as guarantee_of
from ._guarantee import shipped as shipped
from ._initial_states import RESET_SHRINK as RESET_SHRINK
from ._linear_parts import SteadyEffects as SteadyEffects
from ._linear_parts import steady_effects as steady_effects
from ._proof import prove as prove
from ._proof_json import proof_as_json as proof_as_json
from ._proof_parts import ProofPart as ProofPart
from ._result import Proof as Proof
from ._result import ProofRecord as ProofRecord
from ._virtual_blocks import BlockForm as BlockForm
from ._virtual_blocks import VirtualBlocks as VirtualBlocks
from ._virtual_blocks import are_the_actions as are_the_actions
