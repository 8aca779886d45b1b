import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

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


def ends_with(last):
    """A training at whose end something happens, after its last safe point."""
    with Interruptible(lambda: None) as interruptible:
        interruptible.safe_point()
        last()


@SIGNALS
def test_one_after_the_last_safe_point_is_not_lost(kind):
    with pytest.raises(KeyboardInterrupt):
        ends_with(lambda: signal.raise_signal(kind))


def test_an_error_is_not_hidden_by_a_signal():
    with pytest.raises(ZeroDivisionError):
        ends_with(lambda: (signal.raise_signal(signal.SIGINT), 1 / 0))


BUSY = """
import hashlib, os, sys
from safe_wrappers.evaluation import Interruptible
with Interruptible(lambda: None, lambda: os._exit(3)) as interruptible:
    print("ready", flush=True)
    # Like a compiler: native code that no signal handler of Python can interrupt.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
"""


def test_a_second_signal_ends_a_process_that_is_in_a_compiler():
    command = [sys.executable, "-c", BUSY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)  # until it is in the native code: before, the first signal ends it
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)  # the first one waits
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 3


def test_one_who_listens_for_signals_already_goes_on_listening():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    try:
        with (
            contextlib.suppress(KeyboardInterrupt),
            Interruptible(lambda: None, lambda: None),
        ):
            signal.raise_signal(signal.SIGTERM)
        assert os.read(reading, 10) == bytes([signal.SIGTERM])
    finally:
        assert signal.set_wakeup_fd(before) == writing
        os.close(reading)
        os.close(writing)


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
