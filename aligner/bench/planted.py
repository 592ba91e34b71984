"""A self-test on a language of four tones, whose boundaries are planted and must be found.

Nothing of it is on disk: the sound is made, and the model from more such sound.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from aligner.backends.options import Compute, Options
from aligner.features import SphinxFrontend
from aligner.models.gmm import GaussianMixtures
from aligner.models.markov import MarkovModel
from aligner.models.tree import COMMON_PHONES, SILENCE, TreeTopology
from aligner.run.align import align
from aligner.types import SAMPLE_RATE, Failure, Utterance

TONES = {"a": (300, 900), "b": (700, 1900), "c": (1500, 3100), "d": (450, 4200)}  # Hz: two partials each
SENTENCE = "abc dab cad bad"
TRAINING_TEXT = "abcdbadcacbdabdc"  # letters that the model is trained on
PAUSE = 0.3  # seconds of silence at both ends
TOLERANCE = 0.02  # seconds from the planted boundary: a tone is heard half a window and half a hop early
NOISE_LEVEL = 0.003  # level of the noise, as a share of full scale
VARIANCE = 0.05  # variance floor of the Gaussians: a tone hardly varies


class Spoken(NamedTuple):
    """A waveform with its phones and their times."""

    wave: np.ndarray
    """(N,): waveform at 16 kHz."""
    phones: tuple[str, ...]
    """Labels of the phones, silence at both ends."""
    edges: tuple[float, ...]
    """Times in seconds at which each phone begins, and the last ends."""


def speak(letters: str, seed: int) -> Spoken:
    """Synthesise letters as tones of 80 to 200 ms, in noise."""
    rng = np.random.default_rng(seed)
    lengths = [PAUSE, *rng.uniform(0.08, 0.2, len(letters)), PAUSE]
    edges = np.round(np.cumsum([0.0, *lengths]) * SAMPLE_RATE).astype(int)
    wave = NOISE_LEVEL * rng.normal(size=edges[-1])
    for letter, (first, last) in zip(letters, pairwise(edges[1:-1]), strict=True):
        time = np.arange(last - first) / SAMPLE_RATE
        wave[first:last] += sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in TONES[letter])
    return Spoken(
        wave.astype(np.float32), (SILENCE, *letters, SILENCE), tuple((edges / SAMPLE_RATE).tolist())
    )


def trained_model() -> MarkovModel:
    """Make a model of the tones: a Gaussian for all states of each."""
    frontend, topology = SphinxFrontend(cmn="none"), TreeTopology.of_phones(list(TONES))
    speech = speak(TRAINING_TEXT, 1)
    frames = frontend(torch.from_numpy(speech.wave)).double()
    middles = (np.arange(len(frames)) * frontend.clock.hop + frontend.clock.window / 2) / SAMPLE_RATE
    at = np.searchsorted(speech.edges, middles, side="right") - 1
    label = np.array([topology.number(speech.phones[min(k, len(speech.phones) - 1)]) for k in at])
    means, variances = [], []
    for number in range(len(topology.phones)):
        # noise is like silence
        own = frames[torch.from_numpy(label == (0 if number < len(COMMON_PHONES) else number))]
        means.append(own.mean(0))
        variances.append(own.var(0).clamp(min=VARIANCE))
    of = np.repeat(np.arange(len(topology.phones)), topology.forest.sizes)  # the phone of each pdf
    mixtures = GaussianMixtures.of(
        [torch.stack(means)[:, None].numpy()],
        [torch.stack(variances)[:, None].numpy()],
        [np.ones((len(of), 1))],
        of,
    )
    return MarkovModel(
        name="planted",
        frontend=frontend,
        topology=topology,
        mixtures=mixtures,
        language="planted",
        g2p="letters",
    )


def trouble() -> str:
    """What is wrong with how the sentence is aligned; empty where all is well."""
    spoken = speak(SENTENCE.replace(" ", ""), 2)
    options = Options(backend="hmm", refine="none", language="planted")
    [found] = align([Utterance("planted", spoken.wave, SENTENCE)], trained_model(), options, Compute(jobs=1))
    if isinstance(found, Failure):
        return f"the sentence cannot be aligned ({found.message})"
    labels = tuple(p.label or SILENCE for p in found.phones)
    if labels != spoken.phones:
        return f"it hears {' '.join(labels)}, not {' '.join(spoken.phones)}"
    away = max(abs(p.start - edge) for p, edge in zip(found.phones, spoken.edges[:-1], strict=True))
    return f"a boundary is {1000 * away:.0f} ms from where it was planted" if away > TOLERANCE else ""
