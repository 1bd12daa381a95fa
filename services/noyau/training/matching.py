"""One-to-one matching of true and predicted objects, without a dense cost matrix.

Only pairs above the threshold are candidates, so the problem falls apart into small groups of objects that compete
for each other; each group is solved on its own.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching
from scipy.spatial import KDTree

# Above this many entries a group is solved without a dense matrix (slower, but memory follows the candidates).
DENSE_ENTRIES = 4_000_000


def match_pairs(rows: np.ndarray, cols: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Picks candidates so that no row and no column is used twice.

    Args:
        rows, cols: indices of the candidate pairs, each pair once; shape (k,).
        scores: the score of each, in [0, 1]; shape (k,).

    Returns:
        Indices of the picked candidates, ascending: first the most pairs, then the largest sum of scores.
    """
    if len(rows) == 0:
        return np.zeros(0, np.int64)
    lonely = (np.bincount(rows)[rows] == 1) & (np.bincount(cols)[cols] == 1)
    picked = [np.flatnonzero(lonely)]
    for group in _groups(rows, cols, np.flatnonzero(~lonely)):
        picked.append(group[_assign(rows[group], cols[group], scores[group])])
    return np.sort(np.concatenate(picked))


def match_overlap(rows: np.ndarray, cols: np.ndarray, iou: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the overlapping pairs matched at IoU >= threshold (> 0).

    Two objects with an IoU above one half can have no other such partner, so above 0.5 nothing competes; below,
    the assignment is optimal. As in `stardist.matching.matching`, the number of pairs comes before their IoU.
    """
    candidates = np.flatnonzero(iou >= threshold)
    picked: np.ndarray = candidates[match_pairs(rows[candidates], cols[candidates], iou[candidates])]
    return picked


def match_points(true: np.ndarray, pred: np.ndarray, radius: float) -> int:
    """How many points are found: the most one-to-one pairs no further apart than `radius`.

    Args:
        true, pred: positions in micrometres; shapes (n, 3) and (m, 3).
        radius: micrometres.
    """
    if len(true) == 0 or len(pred) == 0:
        return 0
    near = KDTree(true).sparse_distance_matrix(KDTree(pred), radius, output_type="ndarray")
    return len(match_pairs(near["i"], near["j"], 1.0 - near["v"] / radius))


def _groups(rows: np.ndarray, cols: np.ndarray, candidates: np.ndarray) -> list[np.ndarray]:
    """Splits candidates into the connected groups of objects that they link."""
    if len(candidates) == 0:
        return []
    n, m = int(rows.max()) + 1, int(cols.max()) + 1
    links = (np.ones(len(candidates), np.int8), (rows[candidates], n + cols[candidates]))
    _, member = connected_components(csr_array(links, shape=(n + m, n + m)), directed=False)
    group = member[rows[candidates]]
    order = np.argsort(group, kind="stable")
    return np.split(candidates[order], np.flatnonzero(np.diff(group[order])) + 1)


def _assign(rows: np.ndarray, cols: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Indices of the picked candidates of one group."""
    row_ids, row = np.unique(rows, return_inverse=True)
    col_ids, col = np.unique(cols, return_inverse=True)
    n, m = len(row_ids), len(col_ids)
    solve = _assign_dense if n * m <= DENSE_ENTRIES else _assign_sparse
    partner = solve(row, col, scores, n, m)
    return np.flatnonzero(partner[row] == col)


def _assign_dense(row: np.ndarray, col: np.ndarray, scores: np.ndarray, n: int, m: int) -> np.ndarray:
    """Column of each row; a pair that is no candidate weighs nothing, so it never displaces one."""
    weight = np.zeros((n, m))
    # One pair more always outweighs any gain in the scores, which sum to at most min(n, m).
    weight[row, col] = 1.0 + scores / (min(n, m) + 1)
    chosen_row, chosen_col = linear_sum_assignment(weight, maximize=True)
    partner = np.full(n, -1)
    partner[chosen_row] = chosen_col
    return partner


def _assign_sparse(row: np.ndarray, col: np.ndarray, scores: np.ndarray, n: int, m: int) -> np.ndarray:
    """Column of each row; every row may stay alone, in a column of its own, at a cost that no score outweighs."""
    # SciPy reads a zero as "no edge", hence costs from 1 on.
    cost = np.concatenate([2.0 - scores, np.full(n, n + 3.0)])
    where = (np.concatenate([row, np.arange(n)]), np.concatenate([col, m + np.arange(n)]))
    chosen_row, chosen_col = min_weight_full_bipartite_matching(csr_array((cost, where), shape=(n, m + n)))
    partner = np.full(n, -1)
    partner[chosen_row] = chosen_col
    return partner
