"""The rooms of the package in their layers, the lowest first."""

from __future__ import annotations

LAYERS = [
    {"types", "names", "tracing"},
    {"parallel"},
    {"formats"},
    {"corpus", "text", "features", "graph"},
    {"models", "search"},
    {"reference"},
    {"refine", "train", "evaluate", "hmm"},
    {"backends"},
    {"run"},
    {"learn"},
    {"bench"},
    {"check"},
    {"cli"},
    {"__main__"},
]
LEVEL = {room: k for k, layer in enumerate(LAYERS) for room in layer}
