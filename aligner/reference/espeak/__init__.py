"""eSpeak NG: reference speech whose phones have known times, and pronunciations in a hundred languages."""

from aligner.reference.espeak.g2p import EspeakG2P, arpabet, in_names
from aligner.reference.espeak.languages import languages, read_by, resolve
from aligner.reference.espeak.synthesis import Synthesiser, SyntheticSpeech

__all__ = [
    "EspeakG2P",
    "Synthesiser",
    "SyntheticSpeech",
    "arpabet",
    "in_names",
    "languages",
    "read_by",
    "resolve",
]
