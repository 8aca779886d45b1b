"""`safe-wrappers audit`."""

import dataclasses
import hashlib
import importlib.resources
import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import brax.envs
import gymnasium

from .. import envs
from .._compilation_cache import use_compilation_cache
from .._status_line import StatusLine
from ..auditing import RunRecord, as_text, write
from ..auditing import audit as find_out
from ..certificates import Certificate
from ..evaluation import read_rows, training_numbers
from ..models import Model
from ..safeguards import NAMES
from ._imported import is_own, made
from ._options import Audit
from ._run_folder import RunFolder
from ._subject import UNSAFE, plant_of, program, program_of, subject_of
from ._targets import certificate_in, claim_of, is_file, system_options
from ._usage import UsageError, flag, require_known, usage_errors

_ONLY = {
    "safe_set": ("a bundled system",),
    "model": ("a certificate file",),
    "commands": ("a bundled system", "a certificate file"),
}


class _Target(NamedTuple):
    """What is audited: an environment or a claim, the safeguard to put on, and what is known beside
    them.
    """

    env: Any
    name: str
    safeguard: str | None
    simulator: Any = None
    run: RunRecord | None = None
    digests: tuple[tuple[str, str], ...] = ()


def audit(options: Audit) -> int:
    """Audits, writes the page, and says the verdict. Returns 0 only if all that was judged held."""
    if options.safeguard is not None:
        require_known("safeguard", options.safeguard, (*NAMES, UNSAFE))
    target = _target(options)
    output = _folder(options)
    use_compilation_cache()
    with usage_errors(["safeguard"]), StatusLine(sys.stderr.isatty()) as line:
        report = find_out(
            target.env,
            target.safeguard,
            budget=options.budget,
            steps=options.steps,
            samples=options.samples,
            seed=options.seed,
            simulator=target.simulator,
            run=target.run,
            subject=target.name,
            digests=dict(target.digests),
            command=_command(options),
            progress=line.show,
        )
    files = write(report, output)
    print(as_text(report))
    print(f"  files         {output}/: {', '.join(files)}")
    return 0 if report.holds else 1


def _target(options: Audit) -> _Target:
    """What is audited.

    Raises:
        UsageError: If there is no such thing, or an option does not fit it.
    """
    target = options.target
    is_run = Path(target).is_dir()
    kind = (
        "a run"
        if is_run
        else "a certificate file"
        if is_file(target)
        else "something of your own"
        if is_own(target)
        else "a bundled system"
    )
    for name, needed in _ONLY.items():
        if getattr(options, name) is not None and kind not in needed:
            raise UsageError(f"{flag(name)} is for {' or '.join(needed)}, but {target} is {kind}.")
    if is_run:
        return _of_run(options)
    if is_file(target):
        return _of_file(options)
    return _of_own(options) if is_own(target) else _of_system(options)


def _of_run(options: Audit) -> _Target:
    if options.safeguard is not None:
        raise UsageError("--safeguard is that of the run, and cannot be another; leave it out.")
    folder = RunFolder(Path(options.target))
    run = folder.options()
    subject = subject_of(run)
    digest = program(subject)
    begun = next(folder.checkpoints.glob("[0-9]" * 12), None) is not None
    found = folder.checkpoint(options.checkpoint) if begun else None
    digests = [("program of the environment, audited here", digest)]
    if found is not None:
        manifest = _digest((found / "manifest.json").read_bytes())
        digests.append((f"checkpoint {int(found.name):,}, its manifest of digests", manifest))
    record = RunRecord(
        folder.path.resolve().name,
        *_numbers(folder),
        finished=folder.summary.exists(),
        safeguarded=subject.safeguard != UNSAFE,
        same_program=folder.is_of(digest),
        checkpoint=None if found is None else f"{int(found.name):,} interactions",
    )
    bundled = not is_own(run.system) and run.backend in (None, "closed_form")
    certificate = claim_of(subject.env)
    safe_set = run.safe_set or getattr(certificate, "name", None)
    simulator = _simulator(run.system, _given(safe_set, run.commands)) if bundled else None
    if not is_own(run.system):
        digests += _certificate_file(subject.env, run.safe_set)
    name = f"{run.system}, trained in {folder.path.resolve().name} with seed {run.seed}"
    acting = UNSAFE if subject.safeguard == UNSAFE else None  # else it is on already
    return _Target(subject.guarded, name, acting, simulator, record, tuple(digests))


def _numbers(folder: RunFolder) -> tuple[dict[str, Any], str]:
    """The numbers of a training, so far if it is not finished, and the file that they are from."""
    try:
        if folder.summary.exists():
            return json.loads(folder.summary.read_text(encoding="utf-8")), folder.summary.name
        rows = read_rows(folder.metrics)
    except (OSError, ValueError) as error:
        raise UsageError(f"the numbers of {folder.path} cannot be read: {error}") from error
    numbers = training_numbers(rows, lqr_return=None) | {"no_regulator": None} if rows else {}
    return numbers, folder.metrics.name


def _of_file(options: Audit) -> _Target:
    with usage_errors():
        certificate = certificate_in(options.target, options.model)
    about = certificate if options.commands is None else plant_of(certificate, options.commands)
    return _Target(about, options.target, options.safeguard, digests=(_file(Path(options.target)),))


def _of_own(options: Audit) -> _Target:
    target = options.target
    kinds = (brax.envs.Env, gymnasium.Env, Model)
    found = made("the target", target, {}, kinds)
    if isinstance(found, brax.envs.Env | gymnasium.Env) and hasattr(found, "system"):
        on = getattr(found, "safeguard", None)
        if on is not None and options.safeguard is not None:
            raise UsageError(
                f"{target} is safeguarded already by {type(on).__name__}, so "
                "--safeguard cannot choose another; leave it out, or give the environment inside."
            )
        digests = ()
        if isinstance(found, brax.envs.Env):
            digests = (("program of the environment", program_of(found)),)
        return _Target(found, target, options.safeguard, digests=digests)
    claim = claim_of(found)
    if claim is None:
        raise UsageError(
            f"{target} must be an environment with a `system`, a certificate or a claim, but it is "
            f"a `{type(found).__name__}`; put an environment into a `SafeguardWrapper`, and find a "
            "safe set for a model with `safe-wrappers synthesise`."
        )
    return _Target(claim, target, options.safeguard)


def _of_system(options: Audit) -> _Target:
    given = system_options(options.target, options.safe_set, options.commands)
    with usage_errors(given):
        env = envs.get_environment(options.target, **given)
    certificate = getattr(env.system, "certificate", None)
    safe_set = "" if certificate is None else f", safe set {certificate.name}"
    return _Target(
        env,
        f"{options.target}{safe_set}",
        options.safeguard,
        _simulator(options.target, given),
        digests=(
            ("program of the environment", program_of(env)),
            *_certificate_file(env, options.safe_set),
        ),
    )


def _given(safe_set: str | None, commands: str | None) -> dict[str, str]:
    """The options that were given."""
    options = {"safe_set": safe_set, "commands": commands}
    return {name: value for name, value in options.items() if value is not None}


def _simulator(system: str, given: Mapping[str, Any]) -> Any | None:
    """The bundled system on Brax's physics, with the same options; None if it has none."""
    try:
        return envs.get_environment(system, backend="generalized", **given)
    except ValueError:  # the safe set was read before, so it is the backend that is not there
        return None


def _certificate_file(env: Any, safe_set: str | None) -> tuple[tuple[str, str], ...]:
    """The digest of the certificate file of a bundled system, if it has one."""
    certificate = getattr(env.system, "certificate", None)
    if not isinstance(certificate, Certificate):
        return ()
    if safe_set is not None and safe_set.endswith(".json"):
        return (_file(Path(safe_set)),)
    name = f"{certificate.claim.model.name}.{certificate.name}.json"
    content = importlib.resources.files("safe_wrappers.envs").joinpath("assets", name)
    return ((f"file {name}, which comes with the library", _digest(content.read_bytes())),)


def _file(path: Path) -> tuple[str, str]:
    return f"file {path.name}", _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _folder(options: Audit) -> Path:
    """The folder to write into, made if need be.

    Raises:
        UsageError: If it cannot be.
    """
    target = Path(options.target)
    name = options.target.rpartition(":")[2] if is_own(options.target) else target.stem
    default = target / "audit" if target.is_dir() else Path(f"audit_{name}")
    output = options.output or default
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"--output {output} must be a folder that can be written to: {error.strerror}."
        ) from error
    return output


def _command(options: Audit) -> str:
    """The command that repeats the audit."""
    words = ["safe-wrappers", "audit", options.target]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name != "target" and value != field.default:
            words += [flag(field.name), f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
