"""The program behind test_kills.py: runs of `safe-wrappers train` that are killed at every change
of the file system, one after the other, with a learner that learns nothing.

It prints as JSON how many such moments there are, and what was not as it should be. All that is
replaced computes: the subject, the learner, Orbax and the pictures. What writes, locks, seals,
prunes, resumes and sums up is the library's.
"""

import contextlib
import io
import json
import os
import pathlib
import signal
import sys
import tempfile
import types

import numpy as np
import tensorboardX

from safe_wrappers._files import write_bytes
from safe_wrappers.algos.shac import checkpoint
from safe_wrappers.cli import _train_command, main

OPTIONS = ("train", "safe_pendulum", "--num-timesteps", "5", "--keep", "1")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def save_policy(folder, params, config):
    write_bytes(folder / checkpoint._CONFIG_FNAME, params)


class Orbax:
    def save(self, folder, state):
        folder.mkdir()
        write_bytes(folder / "arrays", np.asarray(state).tobytes())


class Learner:
    """Five updates of one number, each with an evaluation and a checkpoint."""

    lqr_return = no_regulator = None
    num_episodes, compile_seconds, hints = 1, 0.0, ()

    def __init__(self, env, guarded, writer, report, **_):
        self.writer, self.report = writer, report

    def run(self, *, num_timesteps, save_checkpoint_path, keep, restore_checkpoint_path, **_):
        state, history = np.float64(0.5), []
        if restore_checkpoint_path is not None:
            found = checkpoint.latest(restore_checkpoint_path)
            history = checkpoint.load_history(found)
            state = np.frombuffer((found / "training_state" / "arrays").read_bytes())[0]
            checkpoint.prune(save_checkpoint_path, history, keep)
        for step in range(len(history), num_timesteps + 1):
            state = 3.7 * state * (1 - state)  # every digit counts
            numbers = {"eval/return": float(state), "eval/smallest_margin": float(state)}
            history.append({"interactions": step, **numbers, "training/walltime": float(step)})
            params = state.tobytes()
            checkpoint.save(save_checkpoint_path, step, params, None, state, history)
            checkpoint.prune(save_checkpoint_path, history, keep)
            self.report(self.writer.write(step, history[-1]))

    def save_pictures(self, path, name):
        write_bytes(path / "learning_curve.png", repr(self.writer.rows).encode())
        return ["learning_curve.png"]


def replace_what_computes():
    subject = types.SimpleNamespace(
        env=None, guarded=None, projected=False, safeguard=_train_command.UNSAFE
    )
    for name, value in {
        "subject_of": lambda options: subject,
        "program": lambda subject: "digest",
        "title": lambda options, subject: "title",
        "use_compilation_cache": lambda: None,
        "describe": lambda summary, title: "",
        "summarise": lambda options, subject, training: {"rows": str(training.writer.rows)},
        "_given": lambda options, subject: {},
        "RecordedTraining": Learner,
    }.items():
        setattr(_train_command, name, value)
    checkpoint._save_policy = save_policy
    checkpoint.ocp = types.SimpleNamespace(PyTreeCheckpointer=Orbax)
    tensorboardX.SummaryWriter = lambda *_, **__: types.SimpleNamespace(
        add_scalar=lambda *_: None, close=lambda: None
    )


def count_changes(kill_at, count):
    """Kills this process before its change number `kill_at`; a file that is being written is then
    half there.
    """

    def change():
        count.append(1)
        return len(count) == kill_at

    def hook(event, args):
        if (event in CHANGES or (event == "open" and args[2] & WRITING)) and change():
            os.kill(os.getpid(), signal.SIGKILL)

    def fsync(descriptor):
        size = os.fstat(descriptor).st_size
        if change():
            with contextlib.suppress(OSError):  # a folder, or a file that was opened to read
                os.ftruncate(descriptor, size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        # A killed process loses nothing that it has written: no need to wait for the disk.

    os.fsync = fsync
    sys.addaudithook(hook)


def run(logdir, kill_at=None):
    """Runs the training in a process of its own. Returns its exit code or minus its signal, and
    how many changes it made.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count, code = [], 70
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                count_changes(kill_at, count)
                code = main([*OPTIONS, "--logdir", str(logdir)])
        finally:
            os.write(writing, str(len(count)).encode())
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        changes = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, int(changes or 0)


def content(logdir):
    """Every file of a run but its lock, which names a process."""
    files = [path for path in logdir.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(logdir).as_posix(): path.read_bytes() for path in files}


def tried(root):
    expected = root / "whole"
    status, changes = run(expected)
    assert status == 0
    wrong, killed = [], 0

    def check(name, logdir):
        status, _ = run(logdir)
        if status != 0 or content(logdir) != content(expected):
            wrong.append([name, status])

    step = max(1, changes // 50)
    for moment in range(1, changes + 1, step):
        logdir = root / f"killed-at-{moment}"
        status, _ = run(logdir, moment)
        killed += status == -signal.SIGKILL
        check(f"killed at {moment}", logdir)
    # One run that is killed again and again, a little later each time.
    logdir = root / "chain"
    for moment in range(3, 43, 2):
        killed += run(logdir, moment)[0] == -signal.SIGKILL
    check("chain", logdir)
    return {"changes": changes, "killed": killed, "wrong": wrong}


if __name__ == "__main__":
    replace_what_computes()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(tried(pathlib.Path(folder))))
