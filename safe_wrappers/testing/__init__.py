"""Contract checks for systems, safeguards and wrapped environments of your own, in the manner of
Gymnasium's `check_env`.
"""

from .._errors import ContractError as ContractError
from ._check_compiled import check_compiled as check_compiled
from ._check_report import CheckReport as CheckReport
from ._check_safeguard import check_safeguard as check_safeguard
from ._check_system import check_system as check_system
from ._check_wrapped_env import check_wrapped_env as check_wrapped_env
