"""JAX's persistent compilation cache: the second start of a command compiles nothing.

Only the command line switches it on.
"""

import os
from pathlib import Path

import jax


def use_compilation_cache() -> None:
    """Caches compiled programs in $XDG_CACHE_HOME/safe-wrappers/jax or ~/.cache/safe-wrappers/jax,
    unless JAX is told another folder.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(caches / "safe-wrappers" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if jax.config.values["jax_logging_level"] == "NOTSET":
        # XLA takes its own tuning hints "prefer-no-gather" and "prefer-no-scatter" in a cached
        # program for features that this processor lacks, and logs kilobytes of false alarms for
        # each program (github.com/openxla/xla/issues/44565).
        jax.config.update("jax_logging_level", "CRITICAL")
