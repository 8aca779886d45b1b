"""From a trained policy to a controller that runs: files, exports, and a watchdog."""

from ._agreement import Agreement as Agreement
from ._export import Exported as Exported
from ._export import export_controller as export_controller
from ._latency import Latency as Latency
from ._latency import latency_table as latency_table
from ._policies import load_policy as load_policy
from ._policies import save_policy as save_policy
from ._watchdog import Observation as Observation
from ._watchdog import Watchdog as Watchdog
