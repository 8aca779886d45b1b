"""Studies as files: what may be in them, and what is wrong with one that cannot be run."""

import dataclasses
import importlib.resources
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._gate import one_of
from ..envs import registered_names
from ..safeguards import NAMES
from ._study import (
    ALGORITHMS,
    REFERENCES,
    UNSAFE,
    Learner,
    Published,
    Study,
    StudyError,
    StudyRow,
    Task,
    Variant,
)

_PACKAGE = "safe_wrappers.experiments"


def study_names() -> tuple[str, ...]:
    """Names of the studies that come with the library."""
    files = importlib.resources.files(_PACKAGE).joinpath("studies").iterdir()
    return tuple(sorted(Path(file.name).stem for file in files if file.name.endswith(".toml")))


def load_study(name_or_file: str, *, quick: bool = False, seeds: int | None = None) -> Study:
    """The study of this name, or in this file.

    Args:
        name_or_file: One of `study_names()`, or a file that ends in .toml.
        quick: Whether to take the few short rows that the study names for a trial.
        seeds: How many seeds, if not as many as the study says.

    Raises:
        StudyError: If there is no such study, or it cannot be run as it is written.

    Example:
        >>> from safe_wrappers.experiments import load_study
        >>> load_study("paper").rows[0].name
        'pendulum/shac/none'
    """
    if name_or_file.endswith(".toml"):
        path: Any = Path(name_or_file)
        if not path.is_file():
            raise StudyError(f"A study must be a file that exists, but {path} does not.")
    else:
        try:
            one_of("study", name_or_file, study_names(), "or a file that ends in .toml")
        except ValueError as error:
            raise StudyError(str(error)) from error
        path = importlib.resources.files(_PACKAGE).joinpath("studies", f"{name_or_file}.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no TOML, or no text at all
        raise StudyError(f"A study must be a TOML file, but {path.name}: {error}.") from error
    return _study(Path(path.name).stem, content, quick, seeds)


def _study(name: str, content: dict[str, Any], quick: bool, seeds: int | None) -> Study:
    _known(
        name,
        content,
        "title text source defaults tasks learners safeguards rows quick published".split(),
    )
    _needed(name, content, ("tasks", "learners", "safeguards", "rows"))
    _check_kinds(content)
    tasks = _entries(Task, "tasks", content, ("system", "num_timesteps"))
    learners = _entries(Learner, "learners", content, ("algorithm",))
    variants = _entries(Variant, "safeguards", content, ("safeguard",))
    for task in tasks.values():
        _choice(f"tasks.{task.name}.system", task.system, registered_names())
        _choice(f"tasks.{task.name}.reference", task.reference, REFERENCES)
        if task.reference == "optimum" and task.evaluation_options.get("disturbance") != "none":
            raise StudyError(
                f"tasks.{task.name} must be evaluated without disturbances to be compared with the "
                "optimum; write evaluation_options = { disturbance = 'none' }."
            )
        _positive(f"tasks.{task.name}.num_timesteps", task.num_timesteps)
        _positive(f"tasks.{task.name}.episode_length", task.episode_length)
    for learner in learners.values():
        _choice(f"learners.{learner.name}.algorithm", learner.algorithm, ALGORITHMS)
    for variant in variants.values():
        _choice(f"safeguards.{variant.name}.safeguard", variant.safeguard, (*NAMES, UNSAFE))
    counts = {"seeds": 10, "evaluations": 21, "episodes": 128}
    _known("defaults", content.get("defaults", {}), counts)
    counts |= content.get("defaults", {})
    rows = []
    for i, block in enumerate(content["rows"]):
        where = f"rows[{i}]"
        _known(
            where, block, ("tasks", "learners", "safeguards", "deployed", "seeds", "evaluations")
        )
        _needed(where, block, ("tasks", "learners", "safeguards"))
        own = {key: block.get(key, value) for key, value in counts.items()}
        deployed = tuple(_named(where, "deployed", block.get("deployed", ()), variants))
        rows += [
            StudyRow(task, learner, variant, deployed, **own)
            for task in _named(where, "tasks", block["tasks"], tasks)
            for learner in _named(where, "learners", block["learners"], learners)
            for variant in _named(where, "safeguards", block["safeguards"], variants)
        ]
    _once(rows)
    published = tuple(
        Published(entry["row"], {key: value for key, value in entry.items() if key != "row"})
        for entry in content.get("published", ())
    )
    study = Study(
        name,
        content.get("title", name),
        " ".join(content.get("text", "").split()),
        tuple(rows),
        published,
        content.get("source", ""),
    )
    for entry in published:
        study.chosen([entry.row])
    if quick:
        study = _quick(study, content.get("quick", {}))
    if seeds is not None:
        _positive("seeds", seeds)
        shorter = tuple(dataclasses.replace(row, seeds=seeds) for row in study.rows)
        study = dataclasses.replace(study, rows=shorter)
    for row in study.rows:
        for key in counts:
            _positive(f"{row.name}: {key}", getattr(row, key))
        if row.evaluations < 2:
            raise StudyError(
                f"{row.name} must have at least 2 evaluations, one before the training and one "
                "after it, but `evaluations` is 1."
            )
    return study


def _quick(study: Study, given: Mapping[str, Any]) -> Study:
    """The study with the few short rows that it names for a trial."""
    _known("quick", given, ("rows", "num_timesteps", "seeds", "evaluations", "episodes"))
    if not given:
        raise StudyError(
            f"{study.name} must say in [quick] what a trial of it is, but has no such entry; write "
            "`rows`, `num_timesteps`, `seeds`, `evaluations` and `episodes` there."
        )
    steps = given.get("num_timesteps")
    counts = {key: given[key] for key in ("seeds", "evaluations", "episodes") if key in given}
    rows = []
    for row in study.chosen(given.get("rows", ())):
        task, learner = row.task, row.learner
        if steps is not None:
            task = dataclasses.replace(task, num_timesteps=min(steps, task.num_timesteps))
            learner = dataclasses.replace(learner, num_timesteps=None)
        rows.append(dataclasses.replace(row, task=task, learner=learner, **counts))
    return dataclasses.replace(study, rows=tuple(rows))


def _check_kinds(content: Mapping[str, Any]) -> None:
    """Checks what is a table, a list or a text, before anything is looked up in it.

    Raises:
        StudyError: If something is of another kind.
    """
    for key in ("tasks", "learners", "safeguards"):
        _table(key, content[key])
        for name, entry in content[key].items():
            _table(f"{key}.{name}", entry)
            for field in ("options", "evaluation_options"):
                _table(f"{key}.{name}.{field}", entry.get(field, {}))
    for key in ("defaults", "quick"):
        _table(key, content.get(key, {}))
    for key in ("rows", "published"):
        _list(key, content.get(key, []), dict, f"tables [[{key}]]")
    lists = [
        (f"rows[{i}].{key}", block.get(key, []))
        for i, block in enumerate(content["rows"])
        for key in ("tasks", "learners", "safeguards", "deployed")
    ]
    for where, value in [*lists, ("quick.rows", content.get("quick", {}).get("rows", []))]:
        _list(where, value, str, "names")
    for i, entry in enumerate(content.get("published", [])):
        _needed(f"published[{i}]", entry, ("row",))
        _known(f"published[{i}]", entry, ("row", "return", "interactions", "stuck", "seconds"))
    for name, entry in content["safeguards"].items():
        weight = entry.get("regularisation", 0.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not weight >= 0:
            where = f"safeguards.{name}.regularisation"
            raise StudyError(f"{where} must be a number from 0 on, but it is {weight!r}.")


def _table(where: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise StudyError(f"{where} must be a table of names and values, but it is {value!r}.")


def _list(where: str, value: Any, kind: type, words: str) -> None:
    if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
        raise StudyError(f"{where} must be a list of {words}, but it is {value!r}.")


def _entries(kind: type, key: str, content: Mapping[str, Any], needed: Sequence[str]) -> dict:
    fields = [field.name for field in dataclasses.fields(kind) if field.name != "name"]
    found = {}
    for name, entry in content[key].items():
        where = f"{key}.{name}"
        if "/" in name:
            raise StudyError(f"Names of entries must have no slash, but {where!r} has one.")
        _known(where, entry, fields)
        _needed(where, entry, needed)
        titled = {"title": name} if "title" in fields else {}
        found[name] = kind(name=name, **{**titled, **entry})
    return found


def _named(where: str, key: str, names: Sequence[str], entries: Mapping[str, Any]) -> list[Any]:
    for name in names:
        _choice(f"{where}.{key}", name, entries)
    return [entries[name] for name in names]


def _known(where: str, given: Mapping[str, Any], names: Iterable[str]) -> None:
    for key in given:
        _choice(f"an entry of {where}", key, names)


def _needed(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in names:
        if name not in given:
            raise StudyError(f"{where} must have `{name}`, but it has only {', '.join(given)}.")


def _choice(where: str, value: Any, names: Iterable[str]) -> None:
    if value not in (valid := list(names)):
        raise StudyError(f"{where} must be one of {', '.join(valid)}, but it is {value!r}.")


def _positive(where: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StudyError(f"{where} must be an integer from 1 on, but it is {value!r}.")


def _once(rows: Sequence[StudyRow]) -> None:
    names = [row.name for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"Each row must be there once, but {name} is there twice.")
