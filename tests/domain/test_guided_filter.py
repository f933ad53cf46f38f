"""The guided filter: it moves edges of a coarse map to edges of the photo."""

import numpy as np

from lookalike.domain.guided_filter import FIRST, SECOND, GuidedFilter, solve_symmetric

WHOLE = slice(0, 16)


def test_solve_symmetric_agrees_with_numpy() -> None:
    random = np.random.default_rng(1)
    factors = random.normal(size=(4, 5, 3, 3))
    matrices = factors @ factors.swapaxes(-1, -2) + np.eye(3)
    values = random.normal(size=(4, 5, 3))
    expected = np.linalg.solve(matrices, values[..., None])[..., 0]
    triangles = matrices[..., FIRST, SECOND].astype(np.float32)
    assert np.allclose(solve_symmetric(triangles, values.astype(np.float32)), expected, atol=1e-3)


def test_filter_moves_the_edge_of_a_map_to_the_edge_of_the_photo() -> None:
    photo = np.full((64, 64, 3), 200, np.uint8)
    photo[:, 34:] = 20  # inside the ninth column of cells
    coarse = np.zeros((16, 16), np.float32)
    coarse[:, :8] = 1
    coarse[:, 8] = 0.5
    refined = GuidedFilter(photo, cell=4).refine(coarse, WHOLE, WHOLE)
    row = refined[32]
    assert row[33] - row[34] > 0.5 * (row[20] - row[50])


def test_filter_keeps_a_map_without_edges() -> None:
    photo = np.random.default_rng(2).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    refined = GuidedFilter(photo, cell=4).refine(np.full((16, 16), 0.25, np.float32), WHOLE, WHOLE)
    assert np.allclose(refined, 0.25, atol=1e-3)
