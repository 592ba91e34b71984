"""Training that starts from what something else found: frames and phones of a guide, what is left out, where
boundaries settle.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from support.bars import at_most
from support.places import SAMPLE

from aligner import find
from aligner.backends.calls import check_start
from aligner.backends.choose import chosen
from aligner.backends.options import Compute
from aligner.cli import main
from aligner.evaluate.folders import evaluate
from aligner.learn import guide as guides
from aligner.learn import letters, training_corpus
from aligner.learn.guide import Guide, guide_of, guided, piece_of, placed, untranscribed_in
from aligner.learn.hmm_options import Options
from aligner.learn.pronouncing import Text
from aligner.learn.settle import evenly, offsets_beside
from aligner.learn.train_hmm import train_hmm
from aligner.learn.training_corpus import read_training_corpus
from aligner.refine.thresholds import Test
from aligner.run.align import align
from aligner.text.lexicon import SpokenWord
from aligner.train.stages import Stage
from aligner.types import (
    Alignment,
    Clock,
    DataError,
    Failure,
    Fault,
    Interval,
    ModelError,
    Pronunciation,
    Quality,
    Suspicion,
    Utterance,
)

CLOCK = Clock(hop=160, window=160)  # frame t lies from t to t + 1 hundredths
needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="eSpeak NG is not installed: pip install 'aligner[dtw]'",
)
QUALITY = Quality(
    log_likelihood=0.0,
    margin=0.0,
    worst_margin=0.0,
    confidence=1.0,
    crammed_run=0,
    speech=1.0,
    longest_word=0.3,
    snr=30.0,
    clipped=0.0,
)


def tier(*parts: tuple[float, str], start: float = 0.0) -> tuple[Interval, ...]:
    """Intervals in a row from their ends and labels."""
    ends = [start, *(end for end, _ in parts)]
    return tuple(Interval(a, b, label) for a, b, (_, label) in zip(ends, ends[1:], parts, strict=False))


def alignment(words, phones=(), name="a", suspicions=(), misfit=-1.0, start=0.0) -> Alignment:
    """An alignment of words, and phones unless these are the same."""
    return Alignment(
        Utterance(name, SAMPLE, "", start=start),
        tier(*words, start=start),
        tier(*(phones or words), start=start),
        duration=1.0,
        quality=replace(QUALITY, misfit=misfit),
        suspicions=tuple(Suspicion(test=t, text=f"{t} is wrong") for t in suspicions),
    )


def said(*words: str) -> list[SpokenWord]:
    """Words by their phones, of which there may be several pronunciations: 'S IY|S EH'."""
    return [
        SpokenWord(k, w, tuple(Pronunciation(tuple(p.split())) for p in w.split("|")))
        for k, w in enumerate(words)
    ]


def test_frames_are_of_the_phones_that_a_guide_found():
    words = [(2.1, ""), (2.3, "see"), (2.4, "")]
    found = alignment(words, [(2.1, ""), (2.17, "S"), (2.3, "EH1"), (2.4, "")], start=2.0)
    where = placed(found, said("S IY|S EH"), tokens=1, clock=CLOCK, frames=40)
    assert where == (("sil", 10), ("S", 7), ("EH", 13), ("sil", 10))


def test_phones_that_no_pronunciation_has_share_their_word_evenly():
    found = alignment([(0.1, ""), (0.4, "see")], [(0.1, ""), (0.15, "s"), (0.4, "i:")])
    where = placed(found, said("S IY Z"), tokens=1, clock=CLOCK, frames=40)
    assert where == (("sil", 10), ("S", 10), ("IY", 10), ("Z", 10))


def test_a_word_that_is_spoken_as_several_has_the_phones_of_all():
    spoken = [
        replace(said("T UW")[0], token=0),
        replace(said("T EH N")[0], token=0),
        replace(said("AH")[0], token=1),
    ]
    found = alignment([(0.5, "210"), (0.6, "a")], [(0.5, "x"), (0.6, "AH0")])
    where = placed(found, spoken, tokens=2, clock=CLOCK, frames=60)
    assert [p for p, _ in where] == ["T", "UW", "T", "EH", "N", "AH"]
    assert sum(n for _, n in where) == 60


def test_of_sound_that_the_transcript_lacks_nothing_is_learnt():
    """What is learnt from is the longest row of words without it."""
    words = [(0.2, "<star>"), (0.5, "see"), (0.6, "<star>"), (0.7, ""), (0.8, "it"), (0.9, "all"), (1.0, "")]
    phones = [(0.2, ""), (0.5, "IY"), (0.7, ""), (0.8, "IH"), (0.85, "AO"), (0.9, "L"), (1.0, "")]
    found = piece_of(alignment([*words, (1.2, "<star>")], [*phones, (1.2, "")]))
    assert (found.utterance.start, found.utterance.end, found.utterance.transcript) == (0.6, 1.0, "it all")
    assert [p.label for p in found.phones] == ["", "IH", "AO", "L", ""]
    where = placed(found, said("IH", "AO L"), tokens=2, clock=CLOCK, frames=40)
    assert where == (("sil", 10), ("IH", 10), ("AO", 5), ("L", 5), ("sil", 10))
    whole = alignment([(0.2, ""), (0.5, "see")])
    assert piece_of(whole) is whole


def test_noise_is_learnt_from_sound_that_the_transcripts_lack():
    words = [(0.4, "<star>"), (0.7, "see"), (0.9, "<star>"), (1.2, "it"), (2.0, "<star>")]
    found = list(untranscribed_in(alignment(words, name="u")))
    assert [(u.id, u.start, u.end, u.transcript) for u in found] == [
        ("u<star>1", 0.0, 0.4, ""),
        ("u<star>2", 1.2, 2.0, ""),
    ]
    utterance = find(SAMPLE).utterances[0]
    guide = Guide(
        about="",
        alignments={},
        failures=(),
        untranscribed=(replace(utterance, id="n", start=0.2, end=0.9, transcript=""),),
    )
    [example] = training_corpus._noises(guide, Options(jobs=1))
    assert example.guide == (("spn", len(example.cepstra)),)
    assert example.words == ((Pronunciation(("spn",)),),)
    assert len(example.cepstra) in range(66, 72)


def test_a_guide_that_read_other_words_says_nothing():
    found = alignment([(0.2, "see"), (0.5, "saw")])
    assert placed(found, said("IY"), tokens=1, clock=CLOCK, frames=50) == ()


class Standing:
    """A backend of which only the traits are asked."""

    def __init__(self, leeway: float) -> None:
        limits = type("Limits", (), {"leeway": leeway})
        self.traits = type("Traits", (), {"limits": limits, "about": "a guide"})


@pytest.mark.parametrize(
    ("suspicions", "misfit", "kept"),
    [
        ((), -1.0, True),
        ((Test.NOISY,), -1.0, True),  # so is the corpus
        ((Test.UNTRANSCRIBED,), -1.0, True),  # that sound is not kept
        ((Test.MISFIT,), 3.0, False),
        ((Test.CRAMMED,), -1.0, False),
        ((Test.LONG_PHONE,), -1.0, False),
    ],
)
def test_what_does_not_fit_is_left_out_and_told(monkeypatch, suspicions, misfit, kept):
    results = [alignment([(0.3, "see")], name=f"u{k}") for k in range(9)]
    results.append(alignment([(0.3, "see")], name="odd", suspicions=suspicions, misfit=misfit))
    monkeypatch.setattr(guides, "align", lambda *_: iter(results))
    found = guided([r.utterance for r in results], Standing(1.0))
    assert ("odd" in found.alignments) is kept
    assert [f.utterance.id for f in found.failures] == ([] if kept else ["odd"])
    assert kept or "is wrong" in found.failures[0].message
    assert found.doubt is None


def test_a_corpus_that_lies_beyond_the_limits_as_a_whole_is_learnt_from(monkeypatch):
    """Another voice than the guide's: all fit a little badly, which says nothing of the transcripts."""
    results = [
        alignment([(0.3, "see")], name=f"u{k}", suspicions=(Test.MISFIT,), misfit=0.3 + k / 100)
        for k in range(10)
    ]
    monkeypatch.setattr(guides, "align", lambda *_: iter(results))
    assert len(guided([r.utterance for r in results], Standing(1.0)).alignments) == 10
    assert len(guided([r.utterance for r in results], Standing(0.0)).alignments) == 0


def test_where_untranscribed_sound_is_usual_it_is_looked_for_in_all(monkeypatch):
    """Elsewhere it is not, for a wildcard would take pauses for such sound."""
    asked = []

    def found(_, backend):
        asked.append(backend.options.star)
        return iter(results)

    monkeypatch.setattr(guides, "align", found)
    for odd, stars in ((2, [None]), (3, [None, True])):
        asked.clear()
        marks = [(Test.UNTRANSCRIBED,) if k < odd else () for k in range(10)]
        results = [alignment([(0.3, "see")], name=f"u{k}", suspicions=mark) for k, mark in enumerate(marks)]
        backend = chosen("english-gmm", None, Compute(jobs=1))
        assert len(guided([r.utterance for r in results], backend).alignments) == 10
        assert asked == stars


def test_a_guide_of_other_speech_is_not_followed_and_that_is_said():
    failure = Failure(Utterance("u1", SAMPLE, ""), "it is Greek", "read it", fault=Fault.OOV)
    found = Guide(about="a voice", alignments={"u0": alignment([(0.3, "a")])}, failures=(failure, failure))
    assert found.doubt is not None
    assert "1 of 3 utterances fit a voice (u1: it is Greek: read it)" in found.doubt
    assert Guide(about="a voice", alignments={}, failures=()).doubt is None


def test_a_model_is_as_late_as_its_boundaries_are_beside_the_guides():
    labels = ["L", "AA", "T"]
    by_guide = tier((0.1, "L"), (0.3, "AA"), (0.5, "T"))
    by_model = tier((0.112, "L"), (0.295, "AA"), (0.5, "T"))
    found = offsets_beside([(by_guide, by_model)] * 95)
    assert [p.label for p in by_model] == labels
    assert found[("liquid", "vowel")] == pytest.approx(0.012 * 0.95)
    assert found[("vowel", "stop")] == pytest.approx(-0.005 * 0.95)


def test_some_of_many_are_spread_over_all():
    found = evenly([alignment([(0.3, "see")], name=f"u{k}") for k in range(100)], 4)
    assert [a.utterance.id for a in found] == ["u0", "u25", "u50", "u75"]
    assert evenly([], 4) == []


@pytest.mark.parametrize(
    ("gain", "labels", "spelled", "taken"),
    [
        (0.2, 30, 20, True),
        (0.05, 30, 20, False),  # as good as the voice
        (0.2, 46, 20, False),  # so many labels fit better whatever is said
        (0.2, 30, 18, False),  # some have digits
    ],
)
def test_letters_are_taken_where_they_fit_clearly_better(monkeypatch, gain, labels, spelled, taken):
    text = Text(language="it")
    monkeypatch.setattr(Text, "letters_to_phones", "espeak")
    monkeypatch.setattr(Text, "voice", "it")

    def corpus(count: int, utterances: int) -> training_corpus.TrainingCorpus:
        return training_corpus.TrainingCorpus(
            utterances=[Utterance(f"u{k}", SAMPLE, "") for k in range(utterances)],
            examples=[],
            labels=tuple(map(str, range(count))),
            failures=[],
            seconds=60.0,
        )

    by_voice, by_letters = corpus(30, 20), corpus(labels, spelled)
    monkeypatch.setattr(letters, "read_training_corpus", lambda *_, **__: by_letters)
    monkeypatch.setattr(letters, "likelihood", lambda read, _: gain if read is by_letters else 0.0)
    chosen_text, read = letters.fitting(SAMPLE, text, by_voice, Options())
    assert chosen_text.characters is taken
    assert any("letters stand for phones" in note for note in read.notes) is taken
    assert (read is by_voice) is not taken


@pytest.mark.parametrize("start", ["xx", "dtw"])
def test_a_start_that_is_nothing_is_told_at_once(start):
    with pytest.raises(DataError, match=rf"--start {start}: eSpeak does not speak this language"):
        check_start(start, "xx")


def test_a_start_from_no_model_is_told_at_once(tmp_path):
    with pytest.raises(ModelError, match="there is no model"):
        check_start(str(tmp_path), "en")
    with pytest.raises(ModelError, match="there is no model"):
        check_start("./nowhere", "en")
    check_start("flat", "xx")
    check_start("english", "xx")
    check_start(None, "xx")


def test_only_hidden_markov_models_start_from_something(tmp_path):
    call = ["train", str(SAMPLE), str(tmp_path / "model"), "--start", "flat", "--backend", "ctc"]
    result = CliRunner().invoke(main, call)
    assert result.exit_code == 2
    assert "--start" in result.output


@needs_espeak
@pytest.mark.parametrize(
    ("start", "about"),
    [
        (None, "hidden Markov model 'english'"),
        ("english-gmm", "hidden Markov model 'english-gmm'"),
        ("dtw", "voice 'en-us'"),
        ("it", "voice 'it'"),
    ],
)
def test_what_a_training_starts_from(start, about):
    backend = guide_of(start, Text(), Compute(jobs=1))
    assert backend is not None
    assert about in backend.traits.about


def test_a_training_may_begin_flat():
    assert guide_of("flat", Text(), Compute(jobs=1)) is None
    assert guide_of(None, Text(language="xx", characters=True), Compute(jobs=1)) is None


def test_a_corpus_is_read_with_the_phones_of_its_guide():
    backend = guide_of("english-gmm", Text(), Compute(jobs=1))
    read = read_training_corpus(SAMPLE, Text(), Options(start=backend, jobs=1))
    assert read.guide is not None
    assert len(read.examples) == len(find(SAMPLE).utterances)
    for example in read.examples:
        assert sum(n for _, n in example.guide) == len(example.cepstra)
        spoken = [p for p, _ in example.guide if p != "sil"]
        # the words are the ones that are going to be learnt, in one of their pronunciations each
        for word in example.words:
            assert any(tuple(spoken[: len(p.phones)]) == p.phones for p in word)
            spoken = spoken[len(next(p for p in word if tuple(spoken[: len(p.phones)]) == p.phones).phones) :]
        assert not spoken


def test_a_model_settles_where_its_guide_has_the_boundaries(tmp_path):
    """It is nearer to its guide than a model that began flat, and says what it started from."""
    backend = guide_of("english-gmm", Text(), Compute(jobs=2))
    stages = (Stage(kind="monophone", iterations=4),)
    own = train_hmm(SAMPLE, tmp_path / "own", Text(), Options(start=backend, stages=stages, jobs=2))
    flat = train_hmm(SAMPLE, tmp_path / "flat", Text(), Options(stages=stages, jobs=2))
    assert own.model.about["started_from"] == "hidden Markov model 'english-gmm'"
    assert flat.model.about["started_from"] is None
    assert json.loads((tmp_path / "own" / "hmm.json").read_text())["offsets_ms"]
    utterances = find(SAMPLE).utterances
    truth = edges(align(utterances, backend))
    away = [
        np.abs(edges(align(utterances, str(tmp_path / name), None, Compute(jobs=2))) - truth)
        for name in ("own", "flat")
    ]
    assert np.median(away[0]) < np.median(away[1])
    assert away[0].mean() < 0.6 * away[1].mean()


def edges(results) -> np.ndarray:
    """The edges of the words of all utterances, in seconds."""
    return np.array([t for r in results for w in r.words if w.label for t in (w.start, w.end)])


@needs_espeak
def test_a_model_of_four_minutes_beats_the_warped_speech_that_it_started_from(timit, tmp_path):
    """No label is used: the errors of the guide differ from one utterance to the next, and average out."""
    call = ["train", str(timit), str(tmp_path / "model"), "--start", "dtw", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, call)
    assert result.exit_code in (0, 1), result.output
    report = evaluate(timit, tmp_path / "out").report
    assert report.phones.mae <= at_most(11.95)  # dtw: 12.93
    assert report.words.mae <= at_most(14.21)  # dtw: 14.82
