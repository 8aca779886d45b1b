"""Forked processes, in which an inherited JAX waits for ever.

`os.fork` copies memory, but only the thread that calls it: the threads on which JAX's backend of
the parent computes do not exist in the child, and whatever is asked of them there is never
answered. Before anything is compiled or run, the library asks here, so that this is an error and no
hang.
"""

import os
import sys

from ._errors import ForkedProcessError

_started = False
_inherited = False


def _before() -> None:
    """Asked in the parent, since the child could wait for a lock that nobody there can open."""
    global _started
    # None of JAX's public functions says it without starting a backend.
    bridge = sys.modules.get("jax._src.xla_bridge")
    asked = getattr(bridge, "backends_are_initialized", None)
    _started = asked is not None and asked()


def _in_child() -> None:
    global _inherited
    _inherited = _started


os.register_at_fork(before=_before, after_in_child=_in_child)


def require_own_backend() -> None:
    """To be called before JAX computes something.

    Raises:
        ForkedProcessError: If JAX had computed in the process from which this one was forked.
    """
    if _inherited:
        raise ForkedProcessError(
            "JAX must have been started in the process that uses it, but this process was forked "
            "from one in which it had run, and would wait for ever for threads that were not "
            "copied. Start processes by 'forkserver' or 'spawn': "
            "`gymnasium.make_vec(id, n, vectorization_mode='async', vector_kwargs={'context': "
            "'forkserver'})`, `AsyncVectorEnv(..., context='forkserver')`, or "
            "`multiprocessing.set_start_method('forkserver')` once for all. Or leave "
            "`vectorization_mode` out: then all copies are one compiled step in this process."
        )
