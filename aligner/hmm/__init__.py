"""The HMM family as torch modules, for use in other programs.

They are made of the same Gaussians and the same search as the aligner; they move with ``.to(device)``,
run under autocast (Gaussians and recursions stay in the parameters' type), compile, and save as any module.

Examples
--------
>>> import torch
>>> from aligner.hmm import MixtureGaussianHMM, left_to_right
>>> model = MixtureGaussianHMM(num_states=3, obs_dim=2, num_components=2, transitions=left_to_right(3))
>>> observations, states = model.sample(50, generator=torch.Generator().manual_seed(0))
>>> model(observations).shape                              # log-likelihoods, differentiable
torch.Size([1])
>>> model.viterbi(observations).states.shape
torch.Size([1, 50])
"""

from aligner.hmm.base import HMM, collate
from aligner.hmm.gaussian import MixtureGaussianHMM
from aligner.hmm.neural import NeuralHMM
from aligner.hmm.semi_markov import HSMM, SemiMarkovHMM
from aligner.hmm.streaming import AdaptiveChunkProcessor, StreamingHMM, StreamingHMMProcessor
from aligner.hmm.transitions import Transitions, ergodic, left_to_right, skip

__all__ = [
    "HMM",
    "HSMM",
    "AdaptiveChunkProcessor",
    "MixtureGaussianHMM",
    "NeuralHMM",
    "SemiMarkovHMM",
    "StreamingHMM",
    "StreamingHMMProcessor",
    "Transitions",
    "collate",
    "ergodic",
    "left_to_right",
    "skip",
]
