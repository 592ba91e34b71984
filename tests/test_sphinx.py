"""The Sphinx loader against pocketsphinx itself, other kinds of Sphinx models, and damaged ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest
import soundfile
import torch
from support.bars import at_most, share_at_least
from support.places import SAMPLE

from aligner import ModelError, Options, Utterance, align, load_model
from aligner.corpus.audio import read
from aligner.graph import Position, build
from aligner.models import sphinx
from aligner.search.arcs import Arcs
from aligner.search.viterbi import viterbi
from aligner.text.normalise import normalise
from aligner.types import Pronunciation

ENGLISH = Path(pocketsphinx.get_model_path("en-us/en-us"))


def test_the_embedded_model_is_what_its_makers_say(model):
    definition = model.topology.definition
    assert len(definition.phones) == 42
    assert definition.senones == 5126
    assert definition.phones[definition.silence] == "SIL"
    assert {definition.phones[f] for f in definition.fillers} == {"SIL", "+NSN+", "+SPN+"}
    assert [s.gaussians.constant.shape for s in model.mixtures.streams] == [(42, 128)] * 3
    assert model.frontend.frate == 100
    assert (model.clock.hop, model.clock.window) == (160, 410)


def test_weights_and_transitions_are_distributions(model):
    for stream in model.mixtures.streams:
        torch.testing.assert_close(stream.weights.sum(1), torch.ones(5126), atol=0.1, rtol=0)  # steps of 10 %
    np.testing.assert_allclose(np.exp(model.topology.transitions).sum(2), 1, atol=1e-5)


def test_every_senone_draws_on_its_phones_codebook(model):
    definition = model.topology.definition
    for phone in ("AA", "SIL", "ZH"):
        unit = model.topology.unit(phone, "SIL", "SIL", Position.SINGLE)
        assert {definition.phones[model.mixtures.codebook[p]] for p in unit.pdfs} == {phone}


def test_contexts_back_off(model):
    topology = model.topology
    exact = topology.unit("AE", "K", "T", Position.INTERNAL)
    assert exact != topology.unit("AE", "SIL", "SIL", Position.SINGLE)
    assert topology.unit("AE1", "K", "T0", Position.INTERNAL) == exact  # stress digits are no other phones
    # noise beside a phone is silence to it
    assert topology.unit("AE", "+NSN+", "T", Position.BEGIN) == topology.unit(
        "AE", "SIL", "T", Position.BEGIN
    )
    for left in topology.definition.phones:  # something is found for all
        assert len(topology.unit("ZH", left, "ZH", Position.END).pdfs) == 3


def sphinx_phones(utterance: Utterance) -> tuple[list[tuple[str, ...]], list[tuple[str, int]]]:
    """pocketsphinx's own alignment: the pronunciation it chose for each word, and (phone, first frame)."""
    decoder = pocketsphinx.Decoder(lm=None, logfn="/dev/null", loglevel="FATAL")
    samples, _ = soundfile.read(utterance.audio, dtype="int16")
    decoder.set_align_text(" ".join(w.lower() for t in normalise(utterance.transcript) for w in t.spoken))
    words: list[tuple[str, ...]] = []
    for second in (False, True):
        if second:
            decoder.set_alignment()
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        words = words or [
            tuple(decoder.lookup_word(s.word).split()) for s in decoder.seg() if s.word[0] not in "<["
        ]
    return words, [(p.name, p.start) for p in decoder.get_alignment().phones() if p.name != "SIL"]


def shares_within(utterances, model) -> list[float]:
    """Share of pocketsphinx's phone starts that our search meets within 20 ms (two frames), a file."""
    shares = []
    for utterance in utterances:
        try:
            words, theirs = sphinx_phones(utterance)
        except RuntimeError:  # its beam lost the utterance
            continue
        graph = build([[Pronunciation(w)] for w in words], model.topology)
        scores = model.score(model.frontend(torch.from_numpy(read(utterance).wave)), graph.pdfs)
        nodes = graph.node[viterbi(Arcs.of(graph), scores[None]).states[0]]
        firsts = np.flatnonzero(np.diff(nodes, prepend=-1))
        ours = [(graph.phone[nodes[t]], t) for t in firsts if graph.phone[nodes[t]] != "SIL"]
        assert [n for n, _ in theirs] == [n for n, _ in ours]
        shares.append(np.mean([abs(a - b) <= 2 for (_, a), (_, b) in zip(theirs, ours, strict=True)]))
    return shares


@pytest.mark.filterwarnings("ignore")
def test_phones_agree_with_pocketsphinx_on_the_sample(model):
    names = ("rms/kitchen", "rms/station", "rms/winter", "slt/harbour", "slt/vowels")
    utterances = [Utterance(n, SAMPLE / f"{n}.flac", (SAMPLE / f"{n}.lab").read_text()) for n in names]
    shares = shares_within(utterances, model)
    assert len(shares) >= 4
    assert 100 * np.mean(shares) >= share_at_least(98.85)


@pytest.mark.filterwarnings("ignore")
def test_phones_agree_with_pocketsphinx_on_real_speech(model, timit):
    from aligner import find

    shares = shares_within(find(timit).utterances[::8], model)
    assert len(shares) >= 7
    assert 100 * np.mean(shares) >= share_at_least(96.92)


def test_continuous_model(sphinx_tests, tmp_path):
    """an4_ci_cont: text mdef, a codebook a state, mixture_weights; aligned beside the embedded model."""
    other = load_model(sphinx_tests / "an4_ci_cont")
    assert len(other.mixtures.codebook) == other.topology.definition.senones == 102
    wave = np.fromfile(sphinx_tests / "goforward.raw", "<i2")
    dictionary = tmp_path / "words.dict"
    dictionary.write_text("go G OW\nforward F AO R W ER D\nten T EH N\nmeters M IY T ER Z\n")
    said = [Utterance("goforward", wave, "go forward ten meters")]
    [plain] = align(said, other, Options(dictionary=dictionary, refine="none"))
    [english] = align(said, options=Options(refine="none"))
    ours, theirs = ([w for w in a.words if w.label] for a in (plain, english))
    assert [w.label for w in ours] == ["go", "forward", "ten", "meters"]
    assert max(abs(a.start - b.start) for a, b in zip(ours, theirs, strict=True)) <= at_most(0.038)


def test_semi_continuous_model(sphinx_tests, tmp_path):
    """tidigits: four streams, one codebook, whole-word phones; 'two nine three four zero' of its own test
    data.
    """
    folder = tmp_path / "digits"
    shutil.copytree(sphinx_tests / "tidigits" / "hmm", folder)
    shutil.copy(sphinx_tests / "tidigits" / "lm" / "tidigits.dic", folder)
    digits = load_model(folder)
    assert len(digits.mixtures.streams) == 4
    assert set(digits.mixtures.codebook) == {0}
    wave = np.fromfile(sphinx_tests / "tidigits" / "dhd.2934z.raw", "<i2")
    results = {}
    for text in ("two nine three four zero", "seven seven six oh one"):
        [result] = align([Utterance("digits", wave, text)], digits)
        results[text] = result
    right = results["two nine three four zero"]
    assert [w.label for w in right.words if w.label] == ["two", "nine", "three", "four", "zero"]
    assert right.log_likelihood > results["seven seven six oh one"].log_likelihood + 1
    [english] = align([Utterance("digits", wave, "two nine three four zero")])
    starts = [[w.start for w in a.words if w.label] for a in (right, english)]
    assert np.median(np.abs(np.subtract(*starts))) <= at_most(0.00604)


def damaged(tmp_path, name: str, change) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(ENGLISH, folder)
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("means", lambda b: b[:-1000], "truncated"),
        ("means", lambda b: b"RIFF" + b[4:], "not a Sphinx S3 file"),
        ("variances", lambda b: b[:60], "truncated"),
        ("transition_matrices", lambda b: b.replace(b"\x44\x33\x22\x11", b"\0\0\0\0"), "byte-order"),
        ("sendump", lambda b: b[:1000], "truncated"),
        ("mdef", lambda b: b[:5000], "not a model definition"),
        ("mdef", lambda b: b"", "not a model definition"),
        ("feat.params", lambda b: b.replace(b"1s_c_d_dd", b"1s_12c"), "features of the kind"),
    ],
)
def test_a_damaged_model_says_which_file(tmp_path, name, change, rule):
    with pytest.raises(ModelError, match=rule) as caught:
        sphinx.load(damaged(tmp_path, name, change))
    assert name in caught.value.where


def test_files_of_different_models_do_not_fit(tmp_path, sphinx_tests):
    folder = damaged(tmp_path, "feat.params", lambda b: b.replace(b"1s_c_d_dd", b"s2_4x"))
    with pytest.raises(ModelError, match=r"39 dimensions, while feat.params gives 51"):
        sphinx.load(folder)
    shutil.copy(ENGLISH / "feat.params", folder)
    shutil.copy(sphinx_tests / "an4_ci_cont" / "transition_matrices", folder)
    with pytest.raises(ModelError, match=r"34 matrices .* while mdef asks for 42"):
        sphinx.load(folder)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "mdef").write_text("")
    with pytest.raises(ModelError, match="means"):
        sphinx.load(tmp_path)


def test_no_such_model():
    with pytest.raises(ModelError, match="no model of this name"):
        load_model("klingon")
