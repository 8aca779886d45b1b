"""Ctrl-C, and the request of a cluster to end, during a training."""

import signal
import threading
from collections.abc import Callable

# A cluster sends SIGTERM some seconds before it kills.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruptible:
    """Lets Ctrl-C and SIGTERM end a training where nothing is being written: at the next
    `safe_point`.

    Before the first safe point, while programs are compiled, and on a second Ctrl-C they act at
    once, as usual. Should whatever runs then swallow the KeyboardInterrupt, as some callbacks do,
    the next safe point raises it again: it is never lost. Signals reach the main thread only; in
    another one nothing is changed.

    Args:
        notify: Called when a signal has been noted and will be obeyed later.
    """

    def __init__(self, notify: Callable[[], None]):
        self._notify = notify
        self._training = self._requested = False
        self._previous = {}

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is threading.main_thread():
            self._previous = {kind: signal.signal(kind, self._handle) for kind in _SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for kind, handler in self._previous.items():
            # A handler that was not installed from Python is None.
            signal.signal(kind, signal.SIG_DFL if handler is None else handler)

    def safe_point(self) -> None:
        """Marks a moment at which everything worth keeping is on disk.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed since the last one.
        """
        self._training = True
        if self._requested:
            raise KeyboardInterrupt

    def _handle(self, *_) -> None:
        at_once = self._requested or not self._training
        self._requested = True
        if at_once:
            raise KeyboardInterrupt
        self._notify()
