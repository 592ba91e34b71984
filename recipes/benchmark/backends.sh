#!/usr/bin/env bash
# The backends of `align` beside torchaudio, ctc-segmentation, Praat, aeneas and librosa.  Arguments go to backends.py.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
install() { "$1" -m pip install --quiet --disable-pip-version-check "${@:2}"; }
install .venv/bin/python --editable ".[test,dtw]"
install .venv/bin/python ctc-segmentation || echo "ctc-segmentation could not be installed: it needs a C compiler"

# aeneas is built with an older numpy, and with tools that are gone from newer ones: an environment of its own
aeneas=out/aeneas/bin/python
if ! [ -x $aeneas ] || ! $aeneas -c "import aeneas" 2>/dev/null; then
    .venv/bin/python -m venv out/aeneas
    install $aeneas "numpy<2" "setuptools<65" wheel
    AENEAS_WITH_CEW=False install $aeneas --no-build-isolation aeneas || echo "aeneas could not be installed"
fi
$aeneas -c "import aeneas" 2>/dev/null && set -- --aeneas "$aeneas" "$@"

# aeneas calls eSpeak NG's program; where it is not installed, Debian's packages are unpacked beside it, not installed
espeak=out/espeak
fetch() {
    local root=$PWD/$espeak
    mkdir -p "$root" &&
    (cd "$root" && apt-get -qq download espeak-ng libespeak-ng1 espeak-ng-data libsonic0 libpcaudio0 2>/dev/null) &&
    for package in "$root"/*.deb; do dpkg -x "$package" "$root" || return; done &&
    cat > "$root/espeak-ng" <<EOF &&
#!/bin/sh
lib=\$(echo "$root"/usr/lib/*-linux-gnu*)
LD_LIBRARY_PATH="\$lib" ESPEAK_DATA_PATH="\$lib" exec "$root/usr/bin/espeak-ng" "\$@"
EOF
    chmod +x "$root/espeak-ng"
}
if ! command -v espeak-ng >/dev/null && ! [ -x $espeak/espeak-ng ]; then
    fetch || echo "espeak-ng could not be fetched"
fi
[ -x $espeak/espeak-ng ] && set -- --espeak "$PWD/$espeak/espeak-ng" "$@"

.venv/bin/python recipes/benchmark/backends.py "$@"
