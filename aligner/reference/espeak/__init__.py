"""eSpeak NG: reference speech whose phones have known times, and pronunciations in a hundred languages."""

from aligner.reference.espeak.g2p import EspeakG2P, arpabet
from aligner.reference.espeak.languages import languages, resolve
from aligner.reference.espeak.synthesis import Synthesiser, SyntheticSpeech

__all__ = ["EspeakG2P", "Synthesiser", "SyntheticSpeech", "arpabet", "languages", "resolve"]
