import contextlib
import signal
import threading

import pytest

from safe_wrappers.evaluation import Interruptible

SIGNALS = pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_a_signal_is_obeyed_at_the_next_safe_point(kind):
    noted = []
    with Interruptible(lambda: noted.append(1)) as interruptible:
        interruptible.safe_point()
        signal.raise_signal(kind)
        assert noted == [1]
        with pytest.raises(KeyboardInterrupt):
            interruptible.safe_point()


@SIGNALS
def test_one_that_is_swallowed_while_compiling_is_not_lost(kind):
    with Interruptible(lambda: None) as interruptible:
        with contextlib.suppress(KeyboardInterrupt):  # as a callback inside the compiler may do
            signal.raise_signal(kind)
        with pytest.raises(KeyboardInterrupt):
            interruptible.safe_point()


def test_the_handlers_before_come_back():
    before = [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)]
    with Interruptible(lambda: None):
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)] == before


def test_another_thread_can_train():
    reached = []

    def work():
        with Interruptible(lambda: None) as interruptible:
            interruptible.safe_point()
            reached.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [True]
