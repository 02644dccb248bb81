"""The least squares problem of rows behind a Relu, against weighted least squares row by row."""

from __future__ import annotations

import numpy as np
import pytest

from lprc.passes._fitting.sparse_regression import solve
from lprc.passes._sparsity.refit import BLOCKED, Fit, Seen

POSITIONS, ROWS, SIZE, DAMPING = 300, 4, 8, 0.01


def layer(seed):
    generator = np.random.default_rng(seed)
    seen = generator.standard_normal((POSITIONS, SIZE)).astype(np.float32)
    weight = generator.standard_normal((ROWS, SIZE))
    wanted = (weight @ seen.T + generator.standard_normal((ROWS, 1))).astype(np.float32)
    return seen, wanted, weight


def plain(seen, target, counts, weight, kept):
    """Weights and bias of one row with the least weighted error, held to `weight`."""
    share = counts / counts.sum()
    mean, wanted = share @ seen, share @ target
    centred = (seen - mean)[:, kept]
    covariance = (seen - mean).T @ ((seen - mean) * share[:, None])
    ridge = DAMPING * np.trace(covariance) / SIZE
    moment = centred.T @ (centred * share[:, None]) + ridge * np.eye(kept.sum())
    product = centred.T @ ((target - wanted) * share) + ridge * weight[kept]
    found = np.zeros(SIZE)
    found[kept] = np.linalg.solve(moment, product)
    return found, wanted - found @ mean


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_rows_are_weighted_least_squares(relu, again):
    seen, wanted, weight = layer(0)
    kept = np.random.default_rng(1).random((ROWS, SIZE)) < 0.7
    fit = Fit(Seen(seen), wanted, weight, relu=relu, damping=DAMPING)
    outputs = fit.outputs(0.5 * weight, np.full(ROWS, 0.3))
    np.testing.assert_allclose(outputs, 0.5 * weight @ seen.T + 0.3, rtol=1e-4, atol=1e-5)
    solvable = fit.problem(outputs if again else None)
    found = solve(solvable.regression, kept)
    for row in range(ROWS):
        counts, target = np.ones(POSITIONS), wanted[row]
        if relu:
            passes = target > 0
            more = again & (outputs[row] > 0) & ~passes
            counts = np.where(passes | more, 1.0, BLOCKED)
            target = np.where(more, 0.0, target)
        best, bias = plain(seen.astype(np.float64), target, counts, weight[row], kept[row])
        np.testing.assert_allclose(found[row], best, rtol=1e-4, atol=1e-5)
        assert solvable.bias(found)[row] == pytest.approx(bias, rel=1e-4, abs=1e-5)
