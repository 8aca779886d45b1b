"""The confidence statement of the scenario approach."""

from scipy import stats


def violation_bound(samples: int, constraints: int, beta: float) -> float:
    """A bound on the probability that a new sample violates what was fitted to N independent,
    identically distributed ones.

    For a convex programme in d variables whose N constraints are drawn i.i.d., the violation
    probability V of its solution has P(V > eps) <= sum_{i < d} binom(N, i) eps^i (1 - eps)^(N - i),
    with equality if d constraints always support the solution (Campi and Garatti 2008, The exact
    feasibility of uncertain convex programs, theorem 1). The smallest box that covers N points in k
    dimensions has d = 2 k. For a set that was fixed beforehand and that m of N points violate, the
    same sum with d = m + 1 is the one-sided bound of Clopper and Pearson (1934).

    Args:
        samples: N.
        constraints: d, at least 1.
        beta: The probability, over the N samples, that the bound fails.

    Returns:
        The eps for which the sum equals beta; 1 if d > N.

    Example:
        >>> round(violation_bound(10_000, 2, 1e-6), 5)
        0.00167
    """
    if constraints > samples:
        return 1.0
    # The sum is the survival function of the beta distribution with parameters d and N - d + 1.
    return float(stats.beta.isf(beta, constraints, samples - constraints + 1))
