"""The options of every command. Their docstrings are the help texts."""

import dataclasses
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from .._arguments import SEED, integer, number
from ..algos.shac_arguments import ARGUMENTS as SHAC
from ._ranges import Option, with_ranges

_OWN = "the system's"
_GUARD = "boundary_projection"
_TUNED = "tuned for the system"
_NEAR = "some near the boundary"
_PROJECTED = "0.1 with boundary_projection, or tuned for the system, else 0"
_PHYSICAL = number(-1e6, 1e6)  # an angle in rad, a position in m
_COUNT = integer(1, 2**24 + 1)


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Train:
    """Train a policy with SHAC behind a safeguard.

    Running the same command again resumes an interrupted run, and with a larger --num-timesteps it
    extends a finished one.
    """

    system: Annotated[Positional[str], arg(metavar="SYSTEM|MODULE:NAME")]
    """A bundled system, for example safe_pendulum; or an environment of your own, importable from
    the current directory: a CertifiedEnv, a SafeguardWrapper, or a function that returns one.
    """
    logdir: Path
    """Folder for checkpoints, metrics, pictures and summary.json."""
    safeguard: Annotated[str | None, Option(default=_GUARD, metavar="NAME")] = None
    """What makes actions safe: boundary_projection, ray_mask, gauge_map, generator_mask,
    replacement, or none for the unprotected baseline.
    """
    num_timesteps: Annotated[int, Option(SHAC["num_timesteps"])] = 20_000
    """Environment interactions; rounded up to whole updates."""
    seed: Annotated[int, Option(SHAC["seed"])] = 0
    """Random seed of the training. The evaluation episodes are the same for every seed."""
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of the system, or a certificate file (.json)."""
    links: Annotated[int | None, Option(_COUNT, _OWN)] = None
    """How many links, for systems that have several (safe_arm: 2, 3 or 7)."""
    target_angle: Annotated[float | None, Option(_PHYSICAL, _OWN, "RAD")] = None
    """The angle to hold, for systems that have one (safe_pendulum)."""
    x_target: Annotated[float | None, Option(_PHYSICAL, _OWN, "M")] = None
    """The position to hold, for systems that have one (safe_cart_pole)."""
    goal: Annotated[str | None, Option(default=_OWN, metavar="NAME")] = None
    """The kind of goal, for systems that have several (safe_quadrotor: start or far; safe_arm:
    joints, tip or limits; safe_quadrotor_3d: hover or waypoint).
    """
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    backend: Annotated[str | None, Option(default="closed_form", metavar="NAME")] = None
    """Physics: closed_form, or generalized (Brax)."""
    disturbance: Annotated[str | None, Option(default="uniform", metavar="NAME")] = None
    """Disturbances: uniform, none or worst_case."""
    initial_states: Annotated[str | None, Option(default="uniform", metavar="NAME")] = None
    """Starts of episodes: uniform in the safe set, or generators (zonotopes only)."""
    episode_length: Annotated[int, Option(SHAC["episode_length"])] = 240
    """Steps of an evaluation episode."""
    train_episode_length: Annotated[int | None, Option(SHAC["train_episode_length"], _TUNED)] = None
    """Steps of a training episode."""
    regularisation: Annotated[float | None, Option(SHAC["regularisation"], _PROJECTED)] = None
    """Weight of the distance between requested and executed action in the loss, annealed until half
    of the training.
    """
    num_envs: Annotated[int | None, Option(SHAC["num_envs"], _TUNED)] = None
    """Environments stepped side by side."""
    horizon_length: Annotated[int | None, Option(SHAC["horizon_length"], _TUNED)] = None
    """Steps that gradients flow through."""
    learning_rate: Annotated[float | None, Option(SHAC["learning_rate"], _TUNED)] = None
    """Initial learning rate of the policy."""
    num_evals: Annotated[int, Option(integer(2, 2**20 + 1))] = 21
    """Evaluations, one before training included; each later one writes a checkpoint."""
    keep: Annotated[int, Option(SHAC["keep"])] = 3
    """How many of the newest checkpoints are kept, beside the best one; 0 keeps all."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Replay a checkpoint of a run; pictures and numbers go to its subfolder evaluation."""

    dir: Annotated[Positional[Path], arg(metavar="DIR")]
    """The --logdir of a run."""
    checkpoint: str = "last"
    """Which one: last, best (the highest return of an evaluation), or its interactions."""
    num_episodes: Annotated[int, Option(_COUNT)] = 128
    """Episodes to run."""
    seed: Annotated[int, Option(SEED)] = 0
    """Random seed of starts and disturbances.

    The default gives the episodes that the training was evaluated on.
    """


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Export:
    """Write the policy of a run and its safeguard as a controller that runs without the training:
    in NumPy alone, and as a JAX program.
    """

    dir: Annotated[Positional[Path], arg(metavar="DIR")]
    """The --logdir of a run."""
    output: Path
    """Folder to write; an earlier export there is replaced."""
    checkpoint: str = "last"
    """Which one: last, best (the highest return of an evaluation), or its interactions."""
    safeguard: Annotated[str | None, Option(default="the run's", metavar="NAME")] = None
    """What makes actions safe: boundary_projection, ray_mask, gauge_map, generator_mask or
    replacement.
    """
    task: Annotated[tuple[str, ...], arg(metavar="NAME=NUMBERS ...")] = ()
    """What the observation needs beside the state, for example goal=6,6; it can be changed where
    the controller runs.
    """
    numpy: bool = True
    """Whether the controller in NumPy is written."""
    calls: Annotated[int, Option(integer(0, 2**24 + 1))] = 1000
    """Calls whose latency is measured."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Show:
    """Draw what a safeguard does to actions and to gradients at single states, as a picture
    (.png).
    """

    target: Annotated[Positional[str], arg(metavar="SYSTEM|FILE|MODULE:NAME")]
    """A bundled system, for example safe_quadrotor; a certificate file; or something of your own,
    importable from the current directory: an environment, a certificate or a claim.
    """
    safeguard: str = "boundary_projection"
    """What makes actions safe: boundary_projection, ray_mask, gauge_map, generator_mask or
    replacement.
    """
    mapping: Annotated[str | None, Option(default="hyperbolic", metavar="NAME")] = None
    """The mapping of the ray_mask: hyperbolic or linear."""
    center: Annotated[str | None, Option(default="chebyshev", metavar="NAME")] = None
    """The safe centre of ray_mask and gauge_map: chebyshev, analytic or box; for the ray_mask also
    orthogonal.
    """
    gradient: Annotated[str | None, Option(default="exact", metavar="NAME")] = None
    """The derivative: exact, passthrough, straight_through or blend; for boundary_projection also
    inward.
    """
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of the system, or a certificate file (.json)."""
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    state: Annotated[tuple[float, ...] | None, Option(default=_NEAR, metavar="FLOAT ...")] = None
    """The state to look at, all its numbers one after the other; it must lie in the safe set."""
    model: Annotated[str | None, Option(default="the bundled one", metavar="MODULE:NAME")] = None
    """The model that a FILE is about."""
    output: Path = Path()
    """Folder or file (.png) to write."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Certify:
    """Prove that safe sets are invariant and satisfy the state constraints.

    Exit code 0 only when all are proved.
    """

    target: Annotated[Positional[str], arg(metavar="SYSTEM|FILE|MODULE:NAME")]
    """A bundled system, for all its shipped sets; a certificate file; or a certificate, a claim or
    an environment of your own.
    """
    safe_set: Annotated[str | None, Option(default="all", metavar="NAME")] = None
    """Only this set of the system."""
    links: Annotated[int | None, Option(_COUNT, "all")] = None
    """Only the sets of this many links, for systems that have several (safe_arm: 2, 3 or 7)."""
    model: Annotated[str | None, Option(default="the bundled one", metavar="MODULE:NAME")] = None
    """The model that a FILE is about, importable from the current directory: a `Model` or a
    function that returns one.
    """
    json: bool = False
    """Print the results as JSON."""
    max_cells: Annotated[int, Option(integer(1, 10**12 + 1))] = 1_000_000
    """Simplices after which a proof gives up."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Conform:
    """Compare a simulator with its model by sampling: does W cover the difference, and is what JAX
    compiles here right? Exit code 0 only if both hold.
    """

    system: Annotated[Positional[str], arg(metavar="SYSTEM|MODULE:NAME")]
    """A bundled system, or an environment with a system, importable from the current directory, or
    a function that returns one.
    """
    backend: Annotated[str | None, Option(default="closed_form", metavar="NAME")] = None
    """Physics of a bundled system: closed_form, generalized (Brax) or mjx (MuJoCo)."""
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of a bundled system, or a certificate file (.json)."""
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    samples: Annotated[int, Option(_COUNT)] = 10_000
    """Random steps that the smallest disturbance box is fitted to.

    Held-out and adversarial ones and trajectories are added.
    """
    seed: Annotated[int, Option(SEED)] = 0
    """Random seed."""
    json: bool = False
    """Print the result as JSON."""
    plot: Annotated[Path | None, Option(default="none", metavar="FILE")] = None
    """Picture of the residuals to write (.png)."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Attack:
    """Try to make a safeguarded plant leave its safe set. Exit code 0 only when it did not."""

    target: Annotated[Positional[str], arg(metavar="SYSTEM|FILE|MODULE:NAME")]
    """A bundled system, for example safe_quadrotor; a certificate file; or something of your own,
    importable from the current directory: an environment, safeguarded or not, a certificate or a
    claim.
    """
    safeguard: Annotated[str | None, Option(default=_GUARD, metavar="NAME")] = None
    """What is tried: boundary_projection, ray_mask, gauge_map, generator_mask, replacement, or
    none.
    """
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of the system, or a certificate file (.json)."""
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    model: Annotated[str | None, Option(default="the bundled one", metavar="MODULE:NAME")] = None
    """The model that a FILE is about."""
    budget: Annotated[float, Option(number(1.0, 1e6))] = 60.0
    """Seconds to search, compilation included; the search ends with the first unsafe step."""
    seed: Annotated[int, Option(SEED)] = 0
    """Random seed."""
    json: bool = False
    """Print the result as JSON."""
    plot: Annotated[Path | None, Option(default="none", metavar="FILE")] = None
    """Picture of the worst trajectory to write (.png)."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Soak:
    """Run a safeguarded plant for many steps under the worst disturbances, and count exits. Exit
    code 0 only when there is none.
    """

    target: Annotated[Positional[str], arg(metavar="SYSTEM|FILE|MODULE:NAME")]
    """What is run, as in `safe-wrappers attack`."""
    steps: Annotated[int, Option(integer(1, 10**12 + 1))]
    """Steps in total; rounded up to whole rounds of 262,144."""
    safeguard: Annotated[str | None, Option(default=_GUARD, metavar="NAME")] = None
    """What makes actions safe: boundary_projection, ray_mask, gauge_map, generator_mask,
    replacement, or none.
    """
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of the system, or a certificate file (.json)."""
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    model: Annotated[str | None, Option(default="the bundled one", metavar="MODULE:NAME")] = None
    """The model that a FILE is about."""
    seed: Annotated[int, Option(SEED)] = 0
    """Random seed."""
    state: Annotated[Path | None, Option(default="none", metavar="FILE")] = None
    """A small file (.json) with the counts so far: the same command goes on where it was
    interrupted, and with more --steps beyond.
    """
    json: bool = False
    """Print the result as JSON."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Audit:
    """Find out anew what a safety reviewer asks of a system or of a training, and write it as one
    page that needs no internet. Exit code 0 only if all that was judged held.
    """

    target: Annotated[Positional[str], arg(metavar="RUN|SYSTEM|FILE|MODULE:NAME")]
    """The --logdir of a run; a bundled system; a certificate file; or an environment, a certificate
    or a claim of your own, importable from the current directory.
    """
    output: Annotated[Path | None, Option(default="audit_TARGET, or RUN/audit")] = None
    """Folder for audit.html and audit.json; it is created if need be."""
    budget: Annotated[float, Option(number(0.0, 1e6, above=0.0))] = 60.0
    """Seconds in which an attack may search for a way out of the safe set."""
    steps: Annotated[int, Option(integer(1, 10**12 + 1))] = 1_000_000
    """Steps of worst disturbances in which exits are counted."""
    samples: Annotated[int, Option(_COUNT)] = 10_000
    """Random steps in which a simulator is compared with the model."""
    safeguard: Annotated[str | None, Option(default=f"the target's, or {_GUARD}")] = None
    """What makes actions safe: boundary_projection, ray_mask, gauge_map, generator_mask,
    replacement, or none.
    """
    safe_set: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """A shipped safe set of a bundled system, or a certificate file (.json)."""
    commands: Annotated[str | None, Option(default="actions", metavar="NAME")] = None
    """What is commanded: actions, or virtual, the virtual inputs of systems that have them
    (accelerations of safe_arm and safe_quadrotor_3d).
    """
    model: Annotated[str | None, Option(default="the bundled one", metavar="MODULE:NAME")] = None
    """The model that a FILE is about."""
    checkpoint: str = "last"
    """Which checkpoint of a run is named: last, best, or its interactions."""
    seed: Annotated[int, Option(SEED)] = 0
    """Random seed of attack, soak and comparison."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Synthesise:
    """Search for a large safe set of a system, prove it, and write its certificate."""

    system: Annotated[Positional[str], arg(metavar="SYSTEM|MODULE:NAME")]
    """A bundled system, for example safe_pendulum; or a Model of your own, importable from the
    current directory, or a function that returns one.
    """
    output: Path
    """Certificate file to write (.json)."""
    facets: Annotated[int | None, Option(_COUNT, "as many as pay, at most 20 or 24")] = None
    """Most facets of the set, or of each block of states that move apart."""
    constraints: Annotated[str | None, Option(default=_OWN, metavar="RANGES|NAME")] = None
    """The states that are allowed: low:high for each state, such as "1:9,-2:3", or the name of a
    set beside the model. Models of your own need it.
    """
    disturbances: Annotated[str | None, Option(default=_OWN, metavar="RANGES|NAME")] = None
    """The disturbances that may act: low:high for each, such as "-0.3:0.3", or the name of a Box
    beside the model. Models of your own with disturbances need it.
    """
    constraints_of: Annotated[str | None, Option(default=_OWN, metavar="NAME|FILE")] = None
    """Take both from this shipped set of a bundled system, or a certificate file about it."""
    seeds: Annotated[int, Option(_COUNT)] = 4
    """Random starts of the search."""
    iterations: Annotated[int, Option(_COUNT)] = 200
    """Most quadratic programs per start."""
    margin: Annotated[float | None, Option(number(0.0, 1.0), "1e-3 in the plane, else 2e-3")] = None
    """Margin asked for at the sample points, where the set reaches from 0 at its centre to 1."""
    rounds: Annotated[int, Option(_COUNT)] = 3
    """Most searches of one kind, each with the counterexamples to the sets before."""
    unproved: bool = False
    """Write the set even if it could not be proved."""


@with_ranges
@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Run a study: tasks, learners and safeguards with many seeds each, judged and compared.

    Rows that are finished are not run again, so that the same command goes on after a kill. Exit
    code 0 only if no row failed and none behind a safeguard left its safe set.
    """

    study: Annotated[Positional[str], arg(metavar="NAME|FILE")]
    """A study of the library: paper, narrow, cart_pole, robots or motive; or a file (.toml)."""
    output: Annotated[Path | None, Option(default="experiments/NAME")] = None
    """Folder for tables, figures and results.md; it is created if need be."""
    rows: Annotated[tuple[str, ...], arg(metavar="PATTERN ...")] = ()
    """Only the rows whose names match one of these, such as "pendulum/shac/*"."""
    quick: bool = False
    """Take the few short rows that the study names for a trial."""
    seeds: Annotated[int | None, Option(_COUNT, "the study's")] = None
    """How many seeds of each row."""
    processes: Annotated[int, Option(integer(1, 1025))] = 1
    """How many rows are run at once, each on its share of the processor's cores."""
    list: bool = False
    """Print the rows, and which of them are finished."""
    report: bool = False
    """Run nothing; write figures and results.md anew from the tables in the folder."""
