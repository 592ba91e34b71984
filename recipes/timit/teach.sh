#!/bin/sh
# Make a model that places boundaries as TIMIT's labellers did: `aligner teach` with all of a copy of the corpus.
#
#     teach.sh CORPUS MODEL NEW [option of aligner teach ...]
#
# CORPUS has a folder per speaker with .wav, .phn, .wrd and .txt; MODEL is the acoustic model, such as `english` or
# `hama` (with `--backend ctc`); NEW is the folder to write, for `align --model NEW`.  What corrections.py prints is
# what to expect of it on other speakers.
#
# Weights that were learnt from TIMIT are yours, under TIMIT's licence, and no part of this package: check what your
# licence allows before you hand them on.
set -eu
[ $# -ge 3 ] || { sed -n '4p' "$0" | cut -c3- >&2; exit 2; }
corpus=$1 model=$2 new=$3
shift 3
exec aligner teach "$corpus" "$model" "$new" "$@"
