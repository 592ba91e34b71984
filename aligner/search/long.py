"""The best path through long audio, in little memory: time in blocks, states in a moving band.

Two savings, of different standing:

- Blocks of time cost nothing but time.  Going forward, only the scores at the start of each block
  are kept; going back, each block's backpointers are made again (Grice, Hughey and Speck 1997,
  *Reduced space sequence alignment*).  Where all backpointers fit into the memory set aside for them,
  as those of a band do for hours, they are kept and nothing is made twice.
- A band of states around the best one so far leaves out paths that stray farther.  So the path that
  comes out is checked: where it comes near an edge, the band is doubled and all is done again, until
  it keeps away from the edges or the band holds the whole graph.
"""

from __future__ import annotations

import torch

from aligner.search.arcs import Arcs, NoPath, Path, Scorer

BAND_STATES = 2048  # states: nearly half a minute of speech, pronunciation variants included
FRAME_ROUNDING = 1e-4  # of a score a frame in float32: a path is not better for so little


def long_path(
    arcs: Arcs, score: Scorer, frames: int, band: int | None = BAND_STATES, proven: bool = False
) -> Path:
    """The best path of one long utterance, whose scores are asked for piece by piece.

    Parameters
    ----------
    arcs : Arcs
        One graph, states in topological order; the search is in the floating type of its weights.
    score : callable
        ``score(first, last, columns)`` gives the log-likelihoods (last - first, len(columns)) of these frames
        under these columns; without a band every frame is asked for twice, with one about once.
    frames : int
        T.
    band : int or None
        States to begin with; None takes the whole graph, and the path is exact without a check.
    proven : bool
        Whether to prove that no path outside the band weighs more, by a forward pass over the whole graph
        (which needs as little memory, but time as without a band).

    Returns
    -------
    Path
        Of a batch of one.

    Raises
    ------
    NoPath
        If there is none.
    ValueError
        If a score is NaN.

    Examples
    --------
    >>> chain = torch.full((9, 9), -torch.inf)
    >>> chain[range(9), range(9)] = chain[range(8), range(1, 9)] = 0.0
    >>> ends = torch.full((2, 9), -torch.inf)
    >>> ends[0, 0] = ends[1, 8] = 0.0
    >>> scores = torch.eye(9).repeat_interleave(2, 0)
    >>> path = long_path(Arcs.dense(chain, *ends), lambda a, b, columns: scores[a:b, columns], 18)
    >>> path.states[0].tolist()
    [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8]
    """
    from aligner.search.banded import BandedSearch, best_score, near_an_edge  # numba is slow to import

    if frames < 1 or (band is not None and band < 1):
        raise ValueError(f"{frames} frames in a band of {band} states; at least 1 of each is needed")
    if len(arcs.pdf) != 1 or arcs.weights.shape[1] != 1:
        raise ValueError("a long search needs one graph whose arcs weigh the same in every frame")
    width = arcs.states if band is None else min(band, arcs.states)
    while True:
        search = BandedSearch(arcs, score, frames, width)
        blocks, now, level = search.forward(keep=True)
        found = search.back(blocks, now)
        if found is None and width == arcs.states:
            raise NoPath([0])
        if found is not None and (
            width == arcs.states or not near_an_edge(found[0], blocks, arcs.states, width)
        ):
            total = found[1] + level
            if (
                width == arcs.states
                or not proven
                or total >= best_score(arcs, score, frames) - FRAME_ROUNDING * frames
            ):
                return Path(torch.from_numpy(found[0])[None], torch.tensor([total], dtype=torch.float64))
        width = min(2 * width, arcs.states)
