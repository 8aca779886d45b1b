"""Ctrl-C during a training."""

import signal
from collections.abc import Callable


class Interruptible:
    """Lets Ctrl-C end a training where nothing is being written: at the next `safe_point`.

    Before the first safe point, while programs are compiled, and on a second Ctrl-C it acts at
    once, as usual.

    Args:
        notify: Called when a Ctrl-C has been noted and will be obeyed later.
    """

    def __init__(self, notify: Callable[[], None]):
        self._notify = notify
        self._training = self._requested = False

    def __enter__(self) -> "Interruptible":
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def safe_point(self) -> None:
        """Marks a moment at which everything worth keeping is on disk.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed since the last one.
        """
        self._training = True
        if self._requested:
            raise KeyboardInterrupt

    def _handle(self, *_) -> None:
        if self._requested or not self._training:
            raise KeyboardInterrupt
        self._requested = True
        self._notify()
