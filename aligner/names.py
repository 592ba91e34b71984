"""The words that options take, for the code that does the work and for the commands that check the call.

Nothing is imported here, so that a wrong call is known before torch is loaded.
"""

from __future__ import annotations

BACKENDS = {  # ways of aligning, each with the module whose `make(model, options, compute)` gives the backend
    "hmm": "aligner.backends.hmm",
    "ctc": "aligner.backends.ctc",
    "ctc+hmm": "aligner.backends.ctc_hmm",
    "dtw": "aligner.backends.dtw",
    "median": "aligner.backends.median",
}
TRAINED = ("hmm", "neural", "ctc")  # kinds of models that can be trained
RECIPES = ("quick", "standard", "large")  # of training a hidden Markov model
EM = ("viterbi", "full")  # what a frame counts for in training: the best path, or all
REFINEMENTS = ("full", "offsets", "none")  # of boundaries after the search
TRANSFER_REFINEMENTS = ("full", "none")  # of boundaries that are carried over from another recording
PRECISIONS = ("full", "mixed")  # of networks and mixtures
KERNELS = ("auto", "numba", "triton", "reference")  # that run a search
DEVICES = ("cpu", "cuda", "mps", "xpu")  # kinds of devices; a colon and a number may follow
BRACKETS = ("usual", "words", "all", "none")  # that hold noises; or pairs of brackets
EXISTING = ("skip", "overwrite", "error")  # what to do where an output exists
ALPHABETS = ("native", "ipa", "xsampa", "arpabet")  # that phones are written in
FORMATS = ("textgrid", "json", "csv", "ctm")  # of alignments
WARPS = ("dtw", "none")  # how frames of two recordings are matched
FAMILY = ("MixtureGaussianHMM", "HSMM", "SemiMarkovHMM", "NeuralHMM", "StreamingHMM")  # of aligner.hmm
TASKS = ("likelihood", "viterbi", "gradient")  # of models of aligner.hmm that `aligner bench` times
MEASURED = ("models", "stages", "backends")  # what `aligner bench` can time
