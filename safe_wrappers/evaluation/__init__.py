"""Evaluation of policies: the same episodes for each, a baseline, and summaries."""

from ._comparison import PolicyComparison as PolicyComparison
from ._constrained_optimum import ConstrainedOptimum as ConstrainedOptimum
from ._constrained_optimum import constrained_optimum as constrained_optimum
from ._episodes import Episodes as Episodes
from ._episodes import Evaluation as Evaluation
from ._episodes import episode_keys as episode_keys
from ._interruptible import Interruptible as Interruptible
from ._lqr import LQR as LQR
from ._lqr import NoRegulator as NoRegulator
from ._lqr import lqr as lqr
from ._lqr import lqr_policy as lqr_policy
from ._metrics_file import MetricsWriter as MetricsWriter
from ._metrics_file import read_rows as read_rows
from ._metrics_file import write_json as write_json
from ._summary import Row as Row
from ._summary import against as against
from ._summary import describe as describe
from ._summary import describe_evaluation as describe_evaluation
from ._summary import gap as gap
from ._summary import interactions_to as interactions_to
from ._summary import machine as machine
from ._summary import training_numbers as training_numbers
from ._summary import versions as versions
