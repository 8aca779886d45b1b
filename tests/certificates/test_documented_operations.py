"""The table in the documentation is that of the code."""

import re
from pathlib import Path

from safe_wrappers.certificates._branches import HULLS
from safe_wrappers.certificates._rounded import ROUNDING
from safe_wrappers.models._interpreter import _HOLDERS, CALLS
from safe_wrappers.models._linear_algebra import PIVOTED
from safe_wrappers.models._moves import MOVES
from safe_wrappers.models._rules import RULES

DOCS = Path(__file__).parents[2] / "docs" / "certificates.md"
# Names that JAX gives to the same operation.
SYNONYMS = {"add_any", "copy_p", "pjit", "closed_call", "checkpoint", "remat2"}


def documented():
    text = DOCS.read_text(encoding="utf-8")
    section = text.split("## Operations that the prover knows")[1].split("\n## ")[0]
    table = section.split("Refused by name")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}


def test_rounding_and_enclosure_know_the_same_operations():
    assert ROUNDING.operations.keys() == HULLS.operations.keys()


def test_every_known_operation_is_documented_and_no_other():
    known = {*HULLS.operations, *RULES, *_HOLDERS, *CALLS, *MOVES, *PIVOTED} - SYNONYMS
    assert known - {"custom_vjp_call_jaxpr"} == documented() - {"inv", "fori_loop"}
