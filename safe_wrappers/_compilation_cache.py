"""JAX's persistent compilation cache: the second start of a command compiles nothing.

Only the command line switches it on. What lies in the cache is executed, so that it must be its
user's own.
"""

import os
import stat
import warnings
from pathlib import Path

import jax

_PRIVATE = 0o700


def use_compilation_cache() -> None:
    """Caches compiled programs in $XDG_CACHE_HOME/safe-wrappers/jax or ~/.cache/safe-wrappers/jax,
    unless JAX is told another folder.

    The folder is created for its user alone.

    Warns:
        UserWarning: If the folder is not that of this user alone, or cannot be created; nothing is
            cached then.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = caches / "safe-wrappers" / "jax"
    reason = _not_private(folder)
    if reason is not None:
        warnings.warn(
            f"Compiled programs are not cached: {folder} {reason}. Remove it, or set "
            "XDG_CACHE_HOME to a folder of your own.",
            stacklevel=2,
        )
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    if jax.config.values["jax_logging_level"] == "NOTSET":
        # XLA takes its own tuning hints "prefer-no-gather" and "prefer-no-scatter" in a cached
        # program for features that this processor lacks, and logs kilobytes of false alarms for
        # each program (github.com/openxla/xla/issues/44565).
        jax.config.update("jax_logging_level", "CRITICAL")


def _not_private(folder: Path) -> str | None:
    """Creates the folder if need be. Returns why others may write there, None if they may not."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for each in (folder.parent, folder):
            each.mkdir(mode=_PRIVATE, exist_ok=True)
            found = each.lstat()  # not what a link leads to
            if not stat.S_ISDIR(found.st_mode):
                return f"must be a folder, but {each} is none"
            if found.st_uid != os.getuid():
                return f"must belong to you, but the owner of {each} is user {found.st_uid}"
            if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return f"must be yours alone, but others may write to {each}"
        folder.chmod(_PRIVATE)
    except OSError as error:
        return f"cannot be used: {error.strerror}"
    return None
