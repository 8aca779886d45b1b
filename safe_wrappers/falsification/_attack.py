"""The search for a step that leaves the safe set."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .._gate import as_flag, as_integer, as_number, as_seed
from ..certificates import Certificate, Claim
from ..safeguards import Safeguard
from . import _descent
from ._attack_report import AttackReport, Trajectory
from ._starts import near, on_boundary
from ._strategies import drawn
from ._subject import Subject, subject_of
from ._verdict import Verdict, judged
from ._window import GIVEN, Plan, Steps, Windows

COUNT, LENGTH = 1024, 48  # trajectories of a round, steps of each
_ELITES = 256
_EVERY = 8  # rounds from one with gradient descent of the margin to the next
_LAG = 8  # steps before the worst one from which a trajectory may be restarted


def attack(
    env: Any,
    safeguard: Safeguard | str | None = None,
    *,
    budget: float = 60.0,
    seed: int = 0,
    claim: Claim | Certificate | None = None,
    keep_going: bool = False,
    max_steps: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> AttackReport:
    """Tries to make a safeguarded plant leave its safe set, and reports the worst that it found.

    Thousands of short trajectories run at once. They start anywhere in the safe set, on its
    boundary, and again near the worst states so far. Requests are random, bang-bang, held, aimed at
    the boundary, no actions at all (NaN, infinite, oversized), or found by gradient descent of the
    margin through simulator and safeguard; disturbances are the worst vertex of W in each step,
    aimed, random, held, or found by the same descent.

    Every step that begins in the safe set is judged by its executed action, as it reached the
    plant, whatever the safeguard reports: the float32 state that was reached, and those to which
    the other disturbances in W would have led, must satisfy H x <= h in float64. So must the action
    lie in the action box. Nothing found is a test and no proof.

    Args:
        env: A `ModelEnv` such as a `CertifiedEnv`, or a `SafeguardWrapper` around one.
        safeguard: What is tried: a safeguard, its name, or "none". Default: the wrapper's, else
            boundary projection.
        budget: How long to search, in seconds, compilation included; a round that has begun is
            finished, and there is at least one.
        seed: Random seed; with `max_steps` the search is the same whenever it runs.
        claim: What the steps are judged against, if that is not what the plant's own system claims:
            the claim that is meant. Default: the claim of `env.system`; without one, the margin of
            `env.system` in float64.
        keep_going: Whether to search on after the first unsafe step.
        max_steps: Ends the search with the round in which so many steps are reached, unless the
            budget is used up before. Default: no end.
        progress: Gets a line of text now and then.

    Raises:
        TypeError: If it is no such environment, safeguard or claim.
        ValueError: If an option is out of range, or a safeguard is given for a safeguarded
            environment.

    Example:
        >>> report = attack(envs.SafePendulum(safe_set="narrow"), budget=10.0)
        >>> report.broken
        False
    """
    began = time.perf_counter()
    budget = as_number("budget", budget, above=0.0)
    seed = as_seed(seed)
    as_flag("keep_going", keep_going)
    if max_steps is not None:
        max_steps = as_integer("max_steps", max_steps, 1)
    search = _Search(subject_of(env, safeguard, claim), seed)
    found_after = None
    while True:
        # Its program takes long to compile: it is not begun near the end.
        descend = time.perf_counter() - began < budget / 2 or search.descends
        search.round(descend)
        seconds = time.perf_counter() - began
        if search.broken and found_after is None:
            found_after = seconds
        if progress is not None:
            progress(
                f"{search.steps:,} steps, {search.exits:,} exits, least margin {search.margin:.3g}"
            )
        enough = max_steps is not None and search.steps >= max_steps
        if enough or seconds >= budget or (search.broken and not keep_going):
            return search.report(budget, seconds, found_after)


class _Search:
    """Rounds of trajectories, and the worst of them."""

    def __init__(self, subject: Subject, seed: int):
        self._subject, self._seed = subject, seed
        self._windows = Windows(subject)
        self._rng = np.random.default_rng(seed)
        self._rounds = 0
        self._elites = np.zeros((0, subject.judge.model.state_size), np.float32)
        self._elite_margins = np.zeros(0)
        self._worst: tuple[bool, float] = (False, np.inf)
        self._trajectory: Trajectory | None = None
        self.descends: bool | None = None  # whether there is a derivative; None until it is tried
        self.steps = self.exits = self.unsafe_actions = 0
        self.margin, self.strategy = np.inf, ""

    @property
    def broken(self) -> bool:
        return self.exits > 0 or self.unsafe_actions > 0

    def round(self, descend: bool | None) -> None:
        """Runs and judges one round, now and then with gradient descent of the margin, if that is
        allowed.
        """
        judge, rng = self._subject.judge, self._rng
        bare = self._subject.safeguard is None
        plan, names = drawn(judge, LENGTH, COUNT, rng, bare=bare)
        x, starts = self._starts()
        names = [f"{name}, {start}" for name, start in zip(names, starts, strict=True)]
        due = self._rounds % _EVERY == _EVERY - 1
        if due and descend and self.descends is not False:
            self._descend(x, plan, names)
        self._rounds += 1
        steps = self._windows.run(x, plan)
        self._learn(steps, judged(self._windows, steps), names)

    def _starts(self) -> tuple[np.ndarray, list[str]]:
        """Starts of all trajectories, and where they are."""
        judge, rng, windows = self._subject.judge, self._rng, self._windows
        sampled = windows.sample(COUNT, int(rng.integers(2**31)))
        sampled = sampled[judge.covers(sampled)]
        sampled = sampled[rng.integers(len(sampled), size=COUNT)]
        third = COUNT // 3
        edge = on_boundary(judge, sampled[:third], rng)
        kinds = ["from the boundary"] * third + ["from inside"] * (COUNT - third)
        x = np.concatenate([edge, sampled[third:]])
        if len(self._elites):
            x[-third:] = near(judge, self._elites, third, np.std(sampled, axis=0), rng)
            kinds[-third:] = ["from near the worst states"] * third
        return x, kinds

    def _descend(self, x: np.ndarray, plan: Plan, names: list[str]) -> None:
        """Puts gradient descent of the margin in the place of the plan of the last trajectories."""
        last = slice(COUNT - _descent.COUNT, COUNT)
        try:
            requests, disturbances = _descent.descended(self._windows, x[last], self._rng)
        except (TypeError, ValueError, NotImplementedError):
            self.descends = False  # the plant or the safeguard has no derivative in reverse mode
            return
        self.descends = True
        plan.requests[: _descent.LENGTH, last] = requests
        plan.disturbances[: _descent.LENGTH, last] = disturbances
        plan.asker[last] = plan.adversary[last] = GIVEN
        names[last] = ["gradient descent of the margin"] * _descent.COUNT

    def _learn(self, steps: Steps, verdict: Verdict, names: list[str]) -> None:
        self.steps += int(verdict.counted.sum())
        self.exits += int(verdict.exit.sum())
        self.unsafe_actions += int(verdict.unsafe_action.sum())
        margin = np.where(verdict.counted, verdict.margin, np.inf)
        self._keep_elites(steps, margin)
        # An unsafe step is worse than every safe one, whatever their margins.
        broken = verdict.broken
        t, i = divmod(int(np.where(broken | ~broken.any(), margin, np.inf).argmin()), COUNT)
        self.margin = min(self.margin, float(margin.min()))
        here = (bool(broken[t, i]), float(margin[t, i]))
        if (not here[0], here[1]) < (not self._worst[0], self._worst[1]):
            self._worst, self.strategy = here, names[i]
            self._trajectory = _cut(self._windows, steps, t, i)

    def _keep_elites(self, steps: Steps, margin: np.ndarray) -> None:
        """Remembers states from which small margins were reached, one for each trajectory."""
        worst = margin.argmin(axis=0)
        from_step = np.maximum(worst - self._rng.integers(_LAG, size=COUNT), 0)
        every = np.arange(COUNT)
        x = np.concatenate([self._elites, steps.x[from_step, every]])
        margins = np.concatenate([self._elite_margins, margin[worst, every]])
        best = np.argsort(margins, kind="stable")
        best = best[self._subject.judge.covers(x[best])][:_ELITES]
        # Half of them may stay: margins that differ by roundings should not end the search.
        self._elites, self._elite_margins = x[best], margins[best]
        forget = self._rng.random(len(best)) < 0.5
        self._elite_margins = np.where(forget, np.inf, self._elite_margins)

    def report(self, budget: float, seconds: float, found_after: float | None) -> AttackReport:
        """What was found so far."""
        subject, windows, trajectory = self._subject, self._windows, self._trajectory
        assert trajectory is not None
        return AttackReport(
            system=subject.system,
            safeguard=subject.guard,
            claim=subject.judge.digest,
            exits=self.exits,
            unsafe_actions=self.unsafe_actions,
            steps=self.steps,
            seconds=seconds,
            budget=budget,
            seed=self._seed,
            margin=self.margin,
            strategy=self.strategy,
            found_after=found_after,
            trajectory=trajectory,
            worst_disturbance=_worst_disturbance(windows, trajectory),
            replay=lambda: _again(windows, trajectory),
        )


def _cut(windows: Windows, steps: Steps, t: int, i: int) -> Trajectory:
    """The trajectory i up to its step t, its margins in float64."""
    part = Steps(*(value[: t + 1, i].copy() for value in steps))
    judge = windows.judge
    possible = windows.next_states(part.x, part.action)
    flat = judge.exact(possible.reshape(-1, possible.shape[-1]))
    return Trajectory(
        states=np.concatenate([part.x, part.reached[-1:]]),
        requests=part.request,
        executed=part.action,
        disturbances=part.disturbance,
        margins=np.minimum(judge.exact(part.reached), flat.reshape(t + 1, -1).min(axis=1)),
    )


def _worst_disturbance(windows: Windows, trajectory: Trajectory) -> np.ndarray:
    """The w that leads to the margin of the last step: the one that acted, or another one."""
    judge = windows.judge
    x, action = trajectory.states[-2], trajectory.executed[-1]
    if judge.exact(trajectory.states[-1:])[0] <= trajectory.margins[-1]:
        return trajectory.disturbances[-1]
    possible = windows.next_states(x[None], action[None])[0]
    return np.asarray(judge.candidates(x, action))[judge.exact(possible).argmin()]


def _again(windows: Windows, trajectory: Trajectory) -> Trajectory:
    """The trajectory run once more, in the program that found it."""
    judge, length = windows.judge, len(trajectory.requests)

    def filled(values: np.ndarray) -> np.ndarray:
        padded = np.zeros((LENGTH, COUNT, values.shape[-1]), np.float32)
        padded[:length] = values[:, None]
        return padded

    given = np.full(COUNT, GIVEN, np.int32)
    plan = Plan(
        filled(trajectory.requests),
        filled(trajectory.disturbances),
        given,
        given,
        np.zeros((COUNT, judge.model.state_size), np.float32),
    )
    steps = windows.run(np.repeat(trajectory.states[:1], COUNT, axis=0), plan)
    return _cut(windows, steps, length - 1, 0)
