"""Words whose times are known: a tier of words as a transcript keeps its boundaries."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import textgrid
import torch
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import runs
from support.bars import at_most
from support.places import SAMPLE

from aligner import Options, align, align_file
from aligner.backends.bounds import Bounds, inner_starts, members, pinned, read_words, spans
from aligner.cli.aligning import align as command
from aligner.corpus.find import find
from aligner.corpus.labels import find_labels
from aligner.evaluate.folders import evaluate
from aligner.formats.textgrid import write_textgrid
from aligner.refine.boundaries import Refined
from aligner.refine.thresholds import Test
from aligner.text.normalise import normalise
from aligner.types import Alignment, Edge, Failure, Fault, Interval, Utterance

BACKENDS = ("hmm", "ctc", "ctc+hmm", "dtw", "median")
KITCHEN = SAMPLE / "rms" / "kitchen.flac"
TEXT = "There is a pot of soup on the kitchen table."


@pytest.fixture(scope="module")
def words() -> tuple[Interval, ...]:
    """The words of a recording with their silences, each boundary some way from where a model has it."""
    found = [w for w in align_file(KITCHEN, TEXT).words]
    rng = np.random.default_rng(0)
    inner = [round(w.end + rng.uniform(-0.012, 0.012), 7) for w in found[:-1]]
    edges = [0.0, *inner, found[-1].end]
    return tuple(Interval(a, b, w.label) for a, b, w in zip(edges, edges[1:], found, strict=False))


def instead(words, label: str, *own: tuple[float, str]) -> list[Interval]:
    """The words with others in place of the one of that label: each with its end, as a share of it."""
    [k] = [k for k, w in enumerate(words) if w.label == label]
    edges = [words[k].start, *(words[k].start + share * words[k].duration for share, _ in own)]
    edges[-1] = words[k].end
    others = [Interval(a, b, text) for a, b, (_, text) in zip(edges, edges[1:], own, strict=False)]
    return [*words[:k], *others, *words[k + 1 :]]


def phones_of(found: Alignment, label: str) -> list[Interval]:
    """The phones of the word of that label."""
    [word] = [w for w in found.words if w.label == label]
    return [p for p in found.phones if word.start <= p.start < word.end]


def utterance(words, **fields) -> Utterance:
    said = " ".join(w.label for w in words if w.label)
    return Utterance("kitchen", KITCHEN, said, file="kitchen", known=tuple(words), **fields)


def aligned(words, backend: str | None = None, **fields) -> Alignment:
    [found] = align([utterance(words, **fields)], options=Options(backend=backend))
    assert isinstance(found, Alignment), found
    return found


def check_kept(found: Alignment, words) -> None:
    """Its words are those, to the last digit, and the phones fill each of them."""
    assert [(w.start, w.end, w.label) for w in found.words] == [
        (round(w.start, 5), round(w.end, 5), w.label) for w in words
    ]
    assert found.phones[0].start == 0
    for a, b in zip(found.phones, found.phones[1:], strict=False):
        assert a.end == b.start
        assert a.end > a.start
    starts = {p.start for p in found.phones}
    for w in found.words:
        assert w.start in starts
        inside = [p.label for p in found.phones if w.start <= p.start < w.end]
        assert any(inside) == bool(w.label), (w, inside)


def as_corpus(folder: Path, tiers, end: float | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    if not (folder / "a.flac").exists():
        (folder / "a.flac").symlink_to(KITCHEN)
    last = end or max(i.end for own in tiers.values() for i in own)
    write_textgrid(folder / "a.TextGrid", tiers, last)
    return folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_words_stay_where_they_are_and_phones_are_inside(backend, words):
    found = aligned(words, backend)
    check_kept(found, words)
    assert len([p for p in found.phones if p.label]) == 28
    assert not found.edges or all(
        e.low <= e.time <= e.high and e.time == p.start
        for e, p in zip(found.edges, found.phones[1:], strict=True)
    )
    assert found.status == "ok", found.suspicions


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("milliseconds", [1, 12, 25])
def test_a_word_may_be_as_short_as_it_likes(backend, milliseconds, words):
    """The word that is squeezed has even phones and is told; its neighbours are where they were."""
    [whole] = [w.duration for w in words if w.label == "kitchen"]
    short = instead(words, "kitchen", (milliseconds / 1000 / whole, "kitchen"), (1.0, ""))
    found = aligned(short, backend)
    check_kept(found, short)
    inside = phones_of(found, "kitchen")
    assert [p.label for p in inside] == ["K", "IH1", "CH", "AH0", "N"] or backend == "dtw"
    lengths = [p.duration for p in inside]
    assert max(lengths) - min(lengths) < 2.1e-5
    [told] = [s for s in found.suspicions if s.test == Test.SHORT_WORD]
    assert told.at == inside[0].start
    assert told.text.startswith("'kitchen' lasts ")


@pytest.mark.parametrize("backend", ["hmm", "ctc", "dtw"])
def test_words_that_nobody_says_there_stay_there_all_the_same(backend, words):
    """Bounds are hard: all words half a second late."""
    late = [words[0], *(Interval(w.start + 0.5, w.end + 0.5, w.label) for w in words[1:-1])]
    late[0] = Interval(0.0, late[1].start, "")
    late = [w for w in late if w.end < words[-1].end]
    late.append(Interval(late[-1].end, words[-1].end, ""))
    check_kept(aligned(late, backend), late)


def test_all_words_in_a_tenth_of_a_second(words):
    """What no search can do is done all the same."""
    labels = [w.label for w in words if w.label]
    edges = np.linspace(1.0, 1.1, len(labels) + 1).tolist()
    crowded = [Interval(a, b, label) for a, b, label in zip(edges, edges[1:], labels, strict=False)]
    whole = [Interval(0, 1.0, ""), *crowded, Interval(edges[-1], words[-1].end, "")]
    for backend in ("hmm", "ctc", "dtw"):
        found = aligned(whole, backend)
        check_kept(found, whole)
        assert len([s for s in found.suspicions if s.test == Test.SHORT_WORD]) >= 8


def test_silences_are_hard_and_keep_their_labels(words):
    found = aligned(instead(words, "pot", (0.5, "pot"), (1.0, "sp")))
    assert [p.label for p in phones_of(found, "sp")] == [""]
    split = [*words[:-1], *(Interval(a, b, "") for a, b in [(words[-1].start, 2.7), (2.7, words[-1].end)])]
    assert len(aligned(split).words) == len(split)


@pytest.mark.parametrize(
    ("label", "phones"),
    [
        ("$5", "F AY1 V D AA1 L ER0 Z"),
        ("pot{P AA2 T}", "P AA2 T"),
        ("{P AA2 T}", "P AA2 T"),
        ("POT,", "P AA1 T"),
        ("blorp", "B L AO1 R P"),
        ("merry-go-round", "M EH1 R IY0 G OW0 R AW2 N D"),
    ],
)
def test_labels_are_read_as_ever_and_shown_as_written(label, phones, words):
    other = instead(words, "pot", (1.0, label))
    found = aligned(other)
    check_kept(found, other)
    assert " ".join(p.label for p in phones_of(found, label)) == phones


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_noise_among_them(backend, words):
    other = instead(words, "pot", (1.0, "[noise]"))
    found = aligned(other, backend)
    check_kept(found, other)
    assert [p.label for p in phones_of(found, "[noise]")] == ["spn"]


@pytest.mark.parametrize("refine", ["none", "offsets", "full"])
def test_every_refinement_keeps_them(refine, words):
    [found] = align([utterance(words)], options=Options(refine=refine))
    check_kept(found, words)


@pytest.mark.slow
def test_phones_inside_are_nearer_to_hand_labels_than_without(timit, tmp_path):
    """9.0 ms from hand labels, in place of 12.7 where the words are not known."""
    for name, source in find_labels(timit).items():
        place = tmp_path / "in" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_suffix(".wav").symlink_to(source.path.with_suffix(".wav"))
        end = soundfile.info(source.path.with_suffix(".wav")).duration
        own = read_words(_apart(source.path.with_suffix(".wrd")), 0.0, end, normalise, name)[1].words
        write_textgrid(place.with_suffix(".TextGrid"), {"words": own}, end)
    found = runs.aligned("hmm", tmp_path / "in", tmp_path / "out")
    assert not found.summary.failures
    report = evaluate(timit, found.out).report
    assert report.phones.mae <= at_most(9.04)
    assert len(found.summary.suspects) <= 5


def _apart(path: Path) -> list[Interval]:
    """TIMIT's words, where some overlap the one before."""
    words: list[Interval] = []
    for line in path.read_text().splitlines():
        a, b, label = line.split()
        words.append(Interval(max(int(a) / 16000, words[-1].end if words else 0.0), int(b) / 16000, label))
    return words


@pytest.mark.parametrize(
    "name",
    [
        "words",
        "Words",
        "WORD",
        "Anna - words",
        "anna - Word",
        "words (Anna)",
        "ORT-MAU",
        "Wörter",
        "anna - mots",
        "单词",
    ],
)
def test_a_tier_of_words_is_found_by_its_name(name, words, tmp_path):
    corpus = as_corpus(tmp_path / "in", {name: words})
    [found] = find(corpus).utterances
    assert found.known == tuple(Interval(w.start, w.end, w.label) for w in words)
    assert found.transcript == TEXT.rstrip(".")
    assert found.id == "a"
    assert (found.start, found.end) == (0.0, None)
    if "nna" in name:
        assert found.speaker.lower() == "anna"


@pytest.mark.parametrize("name", ["Anna", "sentences", "text", "Wordsworth", "keywords", "sana", "mot"])
def test_other_tiers_are_utterances_as_ever(name, words, tmp_path):
    found = find(as_corpus(tmp_path / "in", {name: words})).utterances
    assert len(found) == 10
    assert not any(u.known for u in found)


def test_sentences_in_a_tier_of_that_name_are_utterances(tmp_path):
    said = [Interval(0, 1.2, "There is a pot"), Interval(1.2, 2.8, "of soup on the kitchen table")]
    found = find(as_corpus(tmp_path / "in", {"words": said})).utterances
    assert [(u.transcript, u.start, u.end) for u in found] == [(i.label, i.start, i.end) for i in said]


def test_the_command_keeps_them_or_takes_the_text_alone(words, tmp_path):
    corpus = as_corpus(tmp_path / "in", {"words": words, "remarks": [Interval(0.0, 1.0, "a remark")]})
    for name, more in (("kept", []), ("free", ["--no-known-words"])):
        result = CliRunner().invoke(command, [str(corpus), str(tmp_path / name), "-j", "1", *more])
        assert result.exit_code == 0, result.output
    kept, free = (textgrid.TextGrid.fromFile(str(tmp_path / n / "a.TextGrid")) for n in ("kept", "free"))
    assert kept.getNames() == free.getNames() == ["words", "phones"]
    assert [(i.minTime, i.maxTime, i.mark) for i in kept[0]] == [
        (round(w.start, 5), round(w.end, 5), w.label) for w in words
    ]
    assert [i.mark for i in free[0]] == [w.label for w in words]
    assert [i.minTime for i in free[0]] != [i.minTime for i in kept[0]]


def test_tiers_beside_the_words_are_named(words, tmp_path):
    corpus = as_corpus(tmp_path / "in", {"words": words, "remarks": [Interval(0.0, 1.0, "a remark")]})
    [told] = find(corpus).cautions
    assert str(told).startswith(
        "a.TextGrid: its words are taken with their times, and its tiers 'remarks' are"
    )
    blank = as_corpus(tmp_path / "blank", {"words": words, "remarks": [Interval(0.0, 1.0, "")]})
    assert not find(blank).cautions


def test_speakers_have_tiers_of_their_own_that_may_overlap(words, tmp_path):
    shifted = [
        Interval(0.0, words[0].end + 0.1, ""),
        Interval(words[0].end + 0.1, 1.0, "There"),
        Interval(1.0, words[-1].end, ""),
    ]
    corpus = as_corpus(tmp_path / "in", {"Anna - words": words, "Bob - words": shifted})
    result = CliRunner().invoke(command, [str(corpus), str(tmp_path / "out"), "-j", "1"])
    assert result.exit_code == 0, result.output
    grid = textgrid.TextGrid.fromFile(str(tmp_path / "out" / "a.TextGrid"))
    assert grid.getNames() == ["Anna - words", "Anna - phones", "Bob - words", "Bob - phones"]
    for tier, own in zip((grid[0], grid[2]), (words, shifted), strict=True):
        assert [(i.minTime, i.maxTime, i.mark) for i in tier] == [
            (round(w.start, 5), round(w.end, 5), w.label) for w in own
        ]


def test_words_beyond_the_recording_are_an_error_with_their_times(words):
    beyond = [
        *words[:-1],
        Interval(words[-1].start, words[-1].start + 0.1, ""),
        Interval(20.0, 20.5, "table"),
    ]
    [failure] = align([utterance(beyond)])
    assert isinstance(failure, Failure)
    assert failure.fault == Fault.BAD_TIMES
    assert "'table' is said to last from 20.00 to 20.50 s" in failure.rule


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ([Interval(0.5, 0.4, "x")], "ends before it begins"),
        ([Interval(0.5, 1.0, "x"), Interval(0.8, 1.2, "y")], "before the one before it ends"),
        ([Interval(0.5, 1.0, ""), Interval(1.0, 1.2, "sp"), Interval(1.2, 1.3, "--")], "has a word"),
    ],
)
def test_what_makes_no_sense_is_told(known, why):
    [failure] = align([utterance(known)])
    assert isinstance(failure, Failure)
    assert why in failure.message


def test_gaps_are_silences():
    tokens, bounds = read_words([Interval(0.2, 0.4, "a"), Interval(0.6, 0.8, "b")], 0.0, 1.0, normalise, "x")
    assert [t.spelling for t in tokens] == ["a", "b"]
    assert [(w.start, w.end, w.label) for w in bounds.words] == [
        (0.0, 0.2, ""),
        (0.2, 0.4, "a"),
        (0.4, 0.6, ""),
        (0.6, 0.8, "b"),
        (0.8, 1.0, ""),
    ]


def test_a_tier_that_ends_a_little_off_is_that_of_the_recording():
    for end in (0.9999, 1.0, 1.0004, 1.05):
        _, bounds = read_words([Interval(0.2, 0.4, "a"), Interval(0.4, end, "b")], 0.0, 1.0, normalise, "x")
        assert bounds.words[-1] == Interval(0.4, 1.0, "b")


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0.001, 2.0),
    st.lists(st.floats(-0.2, 2.5), min_size=2, max_size=9),
)
def test_phones_fill_a_word_whatever_was_found(duration, edges):
    word = Interval(1.0, round(1.0 + duration, 5), "w")
    starts = inner_starts(word, sorted(1.0 + e for e in edges), 0.03)
    assert len(starts) == len(edges) - 1
    ends = [*starts[1:], word.end]
    assert starts[0] == word.start
    lengths = np.subtract(ends, starts)
    assert lengths.min() >= min(0.01, word.duration / len(starts)) - 2e-5


def test_refined_boundaries_inside_are_kept_and_those_of_words_are_not():
    bounds = Bounds(words=(Interval(0.0, 0.5, "a"), Interval(0.5, 1.0, "")), tokens=(0, -1))
    phones = (Interval(0.0, 0.2, "x"), Interval(0.2, 0.5, "y"), Interval(0.5, 1.0, ""))
    better = (Interval(0.0, 0.23, "x"), Interval(0.23, 0.6, "y"), Interval(0.6, 1.0, ""))
    edges = (Edge(0.23, 0.2, 0.25), Edge(0.6, 0.55, 0.65))
    found = pinned(Refined(better, edges), phones, bounds, 0.03)
    assert [p.start for p in found.phones] == [0.0, 0.23, 0.5]
    assert found.edges == (edges[0], Edge(0.5, 0.5, 0.5))
    assert members(found.phones, bounds.words) == [range(2), range(2, 3)]


def test_spans_leave_room_for_every_word():
    """Words that are too short take frames from their neighbours, and a path goes through all of them."""
    from aligner.graph import NONE, build
    from aligner.models.store import load_model
    from aligner.search.arcs import Arcs
    from aligner.search.viterbi import viterbi
    from aligner.types import Pronunciation

    topology = load_model("english").topology
    said = [("DH", "AH"), ("P", "AA", "T"), ("S", "UW", "P")]
    graph = build([[Pronunciation(p)] for p in said], topology)
    tokens = np.append(np.arange(3), NONE)[graph.word[graph.node]]
    rng = np.random.default_rng(1)
    for _ in range(50):
        edges = np.sort(rng.integers(0, 60, 6))
        times = {k: (float(edges[2 * k]), float(edges[2 * k + 1])) for k in range(3)}
        within = spans(graph, tokens, times, 60, slack=2.0)
        frame = np.arange(60)[:, None]
        scores = np.where((frame >= within[:, 0]) & (frame < within[:, 1]), 0.0, -np.inf).astype(np.float32)
        alone = Arcs.of(graph)._replace(pdf=torch.arange(len(graph.pdf), dtype=torch.int32)[None])
        try:
            path = viterbi(alone, torch.from_numpy(scores)[None]).states[0].numpy()
        except ValueError:
            assert (np.diff(edges)[1::2] < 3).any() or edges[0] < 3 or edges[-1] > 57, edges
            continue
        assert [t for t in dict.fromkeys(tokens[path].tolist()) if t != NONE] == [0, 1, 2]


def test_long_recordings_are_cut_in_pauses_and_are_whole_again(words, tmp_path, monkeypatch):
    """What was cut has the words of the whole, and the phones that each part has alone."""
    from aligner.run import known

    wave, rate = soundfile.read(KITCHEN)
    end = len(wave) / rate
    long = [Interval(w.start + k * end, w.end + k * end, w.label) for k in range(4) for w in words]
    whole = Utterance("long", np.tile(wave, 4), TEXT, rate=rate, known=tuple(long))
    monkeypatch.setattr(known.stretches, "__defaults__", (3.5,))
    assert [round(u.start / end, 1) for u in known.stretches(whole)] == [0, 1, 2, 3]
    for backend in ("hmm", "ctc"):
        [found] = align([whole], options=Options(backend=backend))
        check_kept(found, long)
        alone = aligned(words, backend)
        assert [p.label for p in found.phones if p.label] == [p.label for p in alone.phones if p.label] * 4
        assert found.duration == pytest.approx(4 * end)
        assert all(e.low <= e.time <= e.high for e in found.edges)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 3), st.booleans()), min_size=1, max_size=40), st.floats(1, 8))
def test_stretches_hold_every_word_once(lengths, longest):
    from aligner.run.known import stretches

    edges = np.cumsum([0.0, *(d for d, _ in lengths)]).tolist()
    words = [
        Interval(a, b, "" if q else "w") for a, b, (_, q) in zip(edges, edges[1:], lengths, strict=False)
    ]
    said = " ".join(w.label for w in words if w.label)
    assume(said)
    parts = stretches(Utterance("x", Path("x.wav"), said, known=tuple(words)), longest)
    assert parts[0].start == 0
    assert parts[-1].end is None
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert sum(len(p.transcript.split()) for p in parts) == sum(bool(w.label) for w in words)
    for part in parts:
        own = [w for w in part.known if w.label]
        assert own
        assert own[-1].end - part.start <= longest or len(own) == 1
