#!/usr/bin/env bash
# Trains and aligns again and again on a busy machine, and counts the runs that hang or come out otherwise.
#
#     hang.sh [--runs 100] [--busy 2] [--limit 300] [--only train|after]
set -euo pipefail
cd "$(dirname "$0")/../.."
exec .venv/bin/python recipes/faults/hang.py "$@"
