"""Optional dependencies: imported where they are needed, with an error that says how to install
them.
"""

import importlib
from typing import Any

from ._errors import MissingDependencyError


def require(module: str, extra: str) -> Any:
    """An optional dependency.

    Raises:
        MissingDependencyError: If it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise MissingDependencyError(
            f"`{name}` must be installed for this, but it is not. Run "
            f'`pip install "safe-wrappers[{extra}]"`.'
        ) from error
