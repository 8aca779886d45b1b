"""Ctrl-C, and the request of a cluster to end, during a training."""

import os
import signal
import threading
from collections.abc import Callable

# A cluster sends SIGTERM some seconds before it kills.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 1.0  # s


class Interruptible:
    """Lets Ctrl-C and SIGTERM end a training where nothing is being written: at the next
    `safe_point`.

    Before the first safe point, while programs are compiled, and on a second Ctrl-C they act at
    once, as usual. Should whatever runs then swallow the KeyboardInterrupt, as some callbacks do,
    the next safe point raises it again, or the end of the block: it is never lost. Signals reach
    the main thread only; in another one nothing is changed.

    Python obeys a signal only between two of its own instructions, and a compiler can work for
    minutes between these.

    Args:
        notify: Called when a signal has been noted and will be obeyed later.
        end: Called in another thread if a second signal has not been obeyed for a second, since the
            main thread is in a compiler. It should end the process. Default: the signal waits.
    """

    def __init__(self, notify: Callable[[], None], end: Callable[[], None] | None = None):
        self._notify = notify
        self._end = end
        self._training = self._requested = self._obeyed = False
        self._previous = {}
        self._left = threading.Event()
        self._wake = -1

    def __enter__(self) -> "Interruptible":
        if threading.current_thread() is threading.main_thread():
            self._previous = {kind: signal.signal(kind, self._handle) for kind in _SIGNALS}
            if self._end is not None:
                self._watch(self._end)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        self._left.set()
        if self._wake != -1:
            signal.set_wakeup_fd(-1)
            os.close(self._wake)  # ends the watching thread
        for each, handler in self._previous.items():
            # A handler that was not installed from Python is None.
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
        if self._requested and not self._obeyed and kind is None:
            raise KeyboardInterrupt

    def safe_point(self) -> None:
        """Marks a moment at which everything worth keeping is on disk.

        Raises:
            KeyboardInterrupt: If Ctrl-C was pressed since the last one.
        """
        self._training = True
        if self._requested:
            self._obeyed = True
            raise KeyboardInterrupt

    def _handle(self, *_) -> None:
        at_once = self._requested or not self._training
        self._requested = True
        if at_once:
            raise KeyboardInterrupt
        self._notify()

    def _watch(self, end: Callable[[], None]) -> None:
        """Starts a thread that learns of signals when they arrive, not when they are obeyed."""
        reading, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        before = signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        if before != -1:  # somebody else's event loop listens there
            signal.set_wakeup_fd(before)
            os.close(self._wake)
            os.close(reading)
            self._wake = -1
            return

        def watch() -> None:
            arrived = 0
            while byte := os.read(reading, 1):
                arrived += byte[0] in _SIGNALS
                if arrived >= 2 and not self._left.wait(_PATIENCE):
                    end()
            os.close(reading)

        threading.Thread(target=watch, daemon=True).start()
