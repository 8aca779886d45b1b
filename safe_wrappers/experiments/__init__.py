"""Experiments: a declared table of trainings, run with many seeds, judged, and written as tables,
figures and pages.
"""

from ._figures import curve_figures as curve_figures
from ._report import as_markdown as as_markdown
from ._report import findings as findings
from ._row import is_finished as is_finished
from ._run import Progress as Progress
from ._run import run_study as run_study
from ._statistics import RowSummary as RowSummary
from ._statistics import interval as interval
from ._statistics import summarise_rows as summarise_rows
from ._study import Learner as Learner
from ._study import Published as Published
from ._study import Study as Study
from ._study import StudyError as StudyError
from ._study import StudyRow as StudyRow
from ._study import Task as Task
from ._study import Variant as Variant
from ._study_file import load_study as load_study
from ._study_file import study_names as study_names
from ._tables import Results as Results
from ._tables import read_results as read_results
