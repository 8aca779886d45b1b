"""What becomes of a hostile call, and how many there are of each kind."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from counts import record

import safe_wrappers as sw

RIGHT = "right"  # it returned what was asked for
FLAGGED = "flagged"  # it returned, and says that the guarantee does not cover it
CLEAR = "clear error"  # it says which argument is wrong, and what was given
UNCLEAR = "unclear error"
WRONG = "silently wrong"
UNSAFE = "unsafe"
GOOD = (RIGHT, FLAGGED, CLEAR)

_PACKAGE = Path(sw.__file__).resolve().parent
# envs and algos lie beside the package and are part of it
_ROOMS = (_PACKAGE, _PACKAGE.parent / "envs", _PACKAGE.parent / "algos")


class Case(NamedTuple):
    """One hostile call.

    Attributes:
        name: What is tried.
        call: Makes the call.
        judge: Of what it returns: one of the outcomes above, and a note; None: it must not return.
        argument: What the error must name, if there is one.
    """

    name: str
    call: Callable[[], Any]
    judge: Callable[[Any], tuple[str, str]] | None = None
    argument: str = ""


def right(result: Any) -> tuple[str, str]:
    """The judge of what has only to be accepted."""
    return RIGHT, ""


def outcome(case: Case) -> tuple[str, str]:
    """Makes the call and judges what becomes of it."""
    try:
        result = case.call()
    except Exception as error:
        return _of_error(error, case)
    if case.judge is None:
        return WRONG, f"accepted: {str(result)[:100]}"
    return case.judge(result)


def check(cases: Iterable[Case], count: int) -> Counter[str]:
    """Makes all calls; none may be unsafe, silently wrong or unclear.

    Args:
        cases: The calls.
        count: How many there must be, so that none is lost unseen.
    """
    cases = list(cases)
    found = [(case.name, *outcome(case)) for case in cases]
    bad = [f"{name}: {kind}: {note}" for name, kind, note in found if kind not in GOOD]
    tally = Counter(kind for _, kind, _ in found)
    record(
        caught=sum(tally[kind] for kind in GOOD),
        unsafe=tally[UNSAFE],
        silently_wrong=tally[WRONG],
        unclear=tally[UNCLEAR],
        note="Calls of public entries with hostile values.",
    )
    assert not bad, "\n".join([str(dict(tally)), *bad])
    assert len(cases) == count, f"there are {len(cases)} cases, not {count}: {dict(tally)}"
    return tally


def _of_error(error: Exception, case: Case) -> tuple[str, str]:
    text = str(error)
    note = f"{type(error).__name__}: {text[:200]}"
    if not isinstance(error, sw.SafeWrappersError | TypeError | ValueError | FileNotFoundError):
        return UNCLEAR, note
    # `gymnasium.make` raises type errors again and says where they came from
    inner = error.__context__
    origin = inner if inner is not None and text.startswith(str(inner)) else error
    frame = traceback.extract_tb(origin.__traceback__)[-1]
    ours = any(Path(frame.filename).resolve().is_relative_to(room) for room in _ROOMS)
    clear = ours and "\n" not in text and case.argument in text and len(text) < 700
    return (CLEAR if clear and case.argument else UNCLEAR), note
