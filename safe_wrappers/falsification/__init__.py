"""Falsification: the search for a step that leaves the safe set, and long runs that count them."""

from ._attack import attack as attack
from ._attack_report import AttackReport as AttackReport
from ._attack_report import Trajectory as Trajectory
from ._report_text import as_json as as_json
from ._report_text import as_text as as_text
from ._soak import soak as soak
from ._soak_report import SoakReport as SoakReport
