"""Figures: of trainings and their episodes, safe sets, safeguards, conformance and attacks."""

from ._animation import save_gif as save_gif
from ._attack_figure import attack_figure as attack_figure
from ._chosen_states import chosen_states as chosen_states
from ._conformance_figure import residual_figure as residual_figure
from ._curve_grid import curve_grid as curve_grid
from ._episode_files import save_episodes as save_episodes
from ._figure_file import save_figure as save_figure
from ._learning_curve import learning_curve as learning_curve
from ._phase_portrait import phase_portrait as phase_portrait
from ._phase_portrait import safe_set as safe_set
from ._recorded_training import RecordedTraining as RecordedTraining
from ._safeguard_figures import box_figure as box_figure
from ._safeguard_figures import draw_gradient as draw_gradient
from ._safeguard_figures import draw_mapping as draw_mapping
from ._safeguard_figures import interval_figure as interval_figure
from ._seeker_map import seeker_map as seeker_map
from ._viewer import save_viewer as save_viewer
