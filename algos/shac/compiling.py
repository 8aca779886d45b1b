"""Programs that are compiled while others are traced."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any


class Compiling:
    """A program that a thread of its own compiles, and that is called as soon as it is ready.

    Python traces one program at a time, but XLA compiles without Python's lock. Programs are traced
    by the thread that asks for them, whose settings of JAX may be its own.

    Args:
        lowered: From `jax.jit(function).lower(...)`.
    """

    def __init__(self, lowered: Any):
        thread = ThreadPoolExecutor(1)
        self._compiled = thread.submit(lowered.compile)
        thread.shutdown(wait=False)

    def wait(self) -> Any:
        """The compiled program, once it is ready."""
        return self._compiled.result()

    def __call__(self, *args: Any) -> Any:
        return self.wait()(*args)
