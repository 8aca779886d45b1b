"""Versions of JAX that are known to compute something else than the program says: importing this
fails with them.
"""

import jaxlib.version

# Compilers of XLA that were seen to compute wrong numbers, with what was seen.
_WRONG = {
    "0.10.2": (
        "on CPUs its compiler computes wrong rows of safe action sets where the number of facets "
        "times the batch size exceeds 32,768, and unsafe actions are executed then"
    )
}


def require_right_compiler(version: str = jaxlib.version.__version__) -> None:
    """Checks the version of the compiler before anything is computed with it.

    Args:
        version: The version of jaxlib. Default: the installed one.

    Raises:
        ImportError: If this version is known to be wrong.
    """
    if version in _WRONG:
        raise ImportError(
            f"safe_wrappers cannot be used with jaxlib {version}: {_WRONG[version]}. Install "
            f"another version: `pip install 'jax!={version}'`."
        )


require_right_compiler()
