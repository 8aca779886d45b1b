"""A pendulum that counts for itself, so that no agent has to be believed; and a count of what is
compiled.
"""

import contextlib
import logging
import threading
import types

import jax
import numpy as np

from safe_wrappers.envs import SafePendulum


class CountingPendulum(SafePendulum):
    """Counts every executed step and every exit on the host, whoever steps it.

    The task asks for an angle beyond the boundary of the narrow set, under worst-case disturbances.
    """

    may_change = frozenset({"steps", "exits", "least"})

    def __init__(self, **options):
        super().__init__(
            **{"safe_set": "narrow", "target_angle": 0.8, "disturbance": "worst_case", **options}
        )
        self.steps, self.exits, self.least, self.lock = 0, 0, np.inf, threading.Lock()

    def step(self, state, action):
        state = super().step(state, action)
        jax.debug.callback(self.count, state.info["margin"])
        return state

    def count(self, margin):
        with self.lock:  # callbacks come from several threads
            self.steps += margin.size
            self.exits += int(np.sum(~(margin >= 0)))
            self.least = min(self.least, float(np.min(margin)))


@contextlib.contextmanager
def compilations():
    """Counts the programs of `compiled_by_content` that are compiled, and everything that is."""
    count = types.SimpleNamespace(programs=0, everything=0)

    class Handler(logging.Handler):
        def emit(self, record):
            message = record.getMessage()
            count.programs += message.startswith("Compiling jit(program_")
            count.everything += message.startswith("Compiling ")

    logger, handler = logging.getLogger("jax"), Handler()
    logger.addHandler(handler)
    try:
        with jax.log_compiles():
            yield count
    finally:
        logger.removeHandler(handler)
