"""CTC as a backend: its graph against torchaudio and torch, planted labels, and real speech."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from support.bars import at_most, share_at_least
from support.places import SAMPLE

from aligner import Alignment, DataError, Failure, Options, Utterance, align, align_file, find
from aligner.backends.choose import chosen
from aligner.backends.ctc import CtcBackend
from aligner.backends.ctc_hmm import WORD_SLACK
from aligner.cli import align as command
from aligner.graph import NONE
from aligner.graph.ctc import BLANK, STAR, Alphabet, build
from aligner.models.ctc import CtcModel, posteriors
from aligner.models.store import load_model
from aligner.run.cautions import cautions
from aligner.search.arcs import Arcs, NoPath
from aligner.search.forward_backward import forward_backward
from aligner.search.viterbi import viterbi
from aligner.text.normalise import normalise
from aligner.text.spelling import Speller
from aligner.types import Clock, Pronunciation

LETTERS = "abcd"  # columns 1 to 4; 0 is the blank


def alphabet(**special: int) -> Alphabet:
    return Alphabet({c: k for k, c in enumerate(LETTERS, 1)}.get, 0, **special)


def linear(text: str) -> list[list[Pronunciation]]:
    return [[Pronunciation(tuple(word))] for word in text.split()]


def best(graph, scores: torch.Tensor) -> tuple[list[int], float]:
    """The columns of the best path, and its weight."""
    path = viterbi(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)])
    return graph.pdfs[graph.pdf[path.states[0].numpy()]].tolist(), float(path.score)


def noise(seed: int, frames: int, columns: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(frames, columns, generator=generator)).log_softmax(1)


@pytest.mark.parametrize("text", ["a", "aa", "ab ba", "abcd dcba abcd", "aaa aab b", "d d d d"])
@pytest.mark.parametrize("seed", range(5))
def test_paths_are_torchaudios(torchaudio, text, seed):
    scores = noise(seed, 24)
    targets = torch.tensor([[LETTERS.index(c) + 1 for c in text.replace(" ", "")]])
    labels, each = torchaudio.functional.forced_align(scores[None], targets, blank=0)
    columns, weight = best(build(linear(text), alphabet()), scores)
    assert columns == labels[0].tolist()
    assert weight == pytest.approx(float(each.sum()), abs=1e-4)


@pytest.mark.parametrize("text", ["a", "aa", "ab ba", "abcd dcba", "aaa aab b"])
def test_the_sum_over_all_paths_is_the_ctc_loss(text):
    scores = noise(3, 18)
    targets = torch.tensor([LETTERS.index(c) + 1 for c in text.replace(" ", "")])
    sizes = torch.tensor([18]), torch.tensor([len(targets)])
    loss = torch.nn.functional.ctc_loss(scores[:, None], targets[None], *sizes, reduction="sum")
    graph = build(linear(text), alphabet())
    found = forward_backward(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)])
    assert float(found.log_z) == pytest.approx(-float(loss), abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_all_pronunciations_is_found(seed):
    words = [
        [Pronunciation(("a", "b")), Pronunciation(("a",), 0.25)],
        [Pronunciation(("b", "c"), 0.5), Pronunciation(("c", "c")), Pronunciation(("d",), 0.125)],
    ]
    scores = noise(seed, 9)
    each = {
        p + q: best(build([[Pronunciation(p)], [Pronunciation(q)]], alphabet()), scores)[1]
        + float(np.log(words[0][i].probability) + np.log(words[1][k].probability))
        for i, k in product(range(2), range(3))
        for p, q in [(words[0][i].phones, words[1][k].phones)]
    }
    graph = build(words, alphabet())
    path = viterbi(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)])
    assert float(path.score) == pytest.approx(max(each.values()), abs=1e-4)
    states = [int(s) for k, s in enumerate(path.states[0]) if k == 0 or s != path.states[0, k - 1]]
    said = [(graph.phone[s], int(graph.word[s])) for s in states if graph.phone[s] != BLANK]
    assert tuple(label for label, _ in said) == max(each, key=each.__getitem__)
    assert [word for _, word in said] == sorted(word for _, word in said)


def test_variants_that_the_network_cannot_tell_apart_count_once():
    pair = [[Pronunciation(("a",), 0.5), Pronunciation(("A",))]]
    merged = build(pair, Alphabet({"a": 1, "A": 1}.get, 0))
    assert len(merged.pdf) == len(build(linear("a"), alphabet()).pdf)
    assert merged.phone[1] == "A"  # the likelier


@pytest.mark.parametrize("seed", range(4))
def test_the_label_of_a_word_boundary_may_be_left_out(seed):
    """Brute force: d is the boundary; with it or without it between the words, and at both ends."""
    scores = noise(seed, 8)
    with_boundary = build([[Pronunciation(("a", "b"))], [Pronunciation(("c",))]], alphabet(boundary=4))
    spelled = ["".join(p) for p in product(["", "d"], ["ab"], ["", "d"], ["c"], ["", "d"])]
    assert best(with_boundary, scores)[1] == pytest.approx(
        max(best(build(linear(s), alphabet()), scores)[1] for s in spelled), abs=1e-4
    )


def planted(text: str, sure: float = 0.95, columns: int = 6) -> torch.Tensor:
    """Log posteriors of labels heard one after the other, a blank (a dot) between: 'a.b' is three frames."""
    scores = torch.full((len(text), columns), (1 - sure) / (columns - 2))
    for t, c in enumerate(text):
        scores[t, 0 if c == "." else LETTERS.index(c) + 1] = sure
    return scores.log()


def with_wildcard(scores: torch.Tensor) -> torch.Tensor:
    return torch.cat([scores[:, :5], scores[:, :5].max(1, keepdim=True).values], 1)


def test_the_wildcard_takes_what_the_transcript_lacks():
    scores = with_wildcard(planted(".a.b....c.d.c.d.c.d...a.c."))
    graph = build(linear("ab ac"), alphabet(star=5), stars=[True] * 3)
    path = viterbi(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)]).states[0].tolist()
    stars = [t for t, s in enumerate(path) if graph.phone[s] == STAR]
    assert stars == list(range(stars[0], stars[-1] + 1))
    assert stars[0] <= 8
    assert stars[-1] >= 18
    assert stars[-1] < 22
    first = [t for t, s in enumerate(path) if graph.word[s] == 0 and graph.phone[s] != BLANK]
    last = [t for t, s in enumerate(path) if graph.word[s] == 1 and graph.phone[s] != BLANK]
    assert (first, last) == ([1, 3], [22, 24])


@pytest.mark.parametrize("text", ["ab ac", "ab", "a b a c"])
def test_no_wildcard_without_need(text):
    scores = with_wildcard(planted("." + ".".join(text.replace(" ", "")) + "."))
    graph = build(linear(text), alphabet(star=5), stars=[True] * (len(text.split()) + 1))
    path = viterbi(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)]).states[0].tolist()
    assert STAR not in {graph.phone[s] for s in path}


def test_a_wildcard_that_is_asked_for():
    scores = with_wildcard(planted(".a..c.d.c..b."))
    graph = build([*linear("a"), [Pronunciation((STAR,))], *linear("b")], alphabet(star=5))
    path = viterbi(Arcs.of(graph), scores[None, :, torch.from_numpy(graph.pdfs)]).states[0].tolist()
    stars = [t for t, s in enumerate(path) if graph.phone[s] == STAR]
    assert stars[0] <= 4
    assert stars[-1] >= 8
    assert {int(graph.word[path[t]]) for t in stars} == {1}


def test_too_few_frames_have_no_path():
    graph = build(linear("aa"), alphabet())
    assert graph.shortest == 3
    with pytest.raises(NoPath):
        best(graph, noise(0, 2))


def test_bad_words():
    with pytest.raises(ValueError, match="at least one label"):
        build([[Pronunciation(())]], alphabet())
    with pytest.raises(KeyError, match="no such label: x"):
        build(linear("x"), alphabet())


class Ear:
    """A network that hears planted labels: each stretch of 100 samples of size k is the label k."""

    labels = (BLANK, *LETTERS)
    blank = 0
    boundary = None
    clock = Clock(hop=100, window=100)

    def __init__(self) -> None:
        self.heard: list[int] = []

    def __call__(self, wave: torch.Tensor) -> torch.Tensor:
        self.heard.append(len(wave))
        frames = wave[: len(wave) // 100 * 100].view(-1, 100).abs().mean(1).round().long()
        return torch.nn.functional.one_hot(frames, 5).float().mul(0.95).add(0.01).log()


def test_long_recordings_are_heard_in_chunks():
    ear, labels = Ear(), torch.randint(0, 5, (3000,), generator=torch.Generator().manual_seed(0))
    wave = labels.repeat_interleave(100).float()
    whole = ear(wave)
    for chunk, overlap in ((1.0, 0.5), (2.5, 0.1), (7.0, 0.0), (100.0, 4.0)):
        ear.heard.clear()
        assert torch.equal(posteriors(ear, wave, chunk, overlap), whole)
        assert max(ear.heard) <= chunk * 16000


def model_of(ear: Ear, **more) -> CtcModel:
    classes = {c: (k,) for k, c in enumerate(LETTERS, 1)}
    return CtcModel(name="ear", network=ear, classes=classes, characters=True, case="lower", **more)


def test_classes_of_several_labels_have_their_sum():
    model = replace(model_of(Ear()), classes={"ab": (1, 2), "c": (3,)})
    frames = model.frontend(torch.tensor([1.0, 3.0, 0.0, 2.0]).repeat_interleave(100)).exp()
    assert frames[:, 0].tolist() == pytest.approx([0.97, 0.02, 0.02, 0.97])
    assert frames[:, 2].tolist() == pytest.approx([0.01, 0.01, 0.96, 0.01])  # the blank
    assert torch.equal(frames[:, 3], frames[:, :3].max(1).values)  # the wildcard


def test_priors_are_taken_out_in_part():
    ear = Ear()
    model, plain = model_of(ear, priors={"a": 0.5, BLANK: 0.25}), model_of(ear)
    frames = plain.frontend(torch.tensor([1.0, 2.0]).repeat_interleave(100))
    moved = model.score(frames, np.arange(5)) - plain.score(frames, np.arange(5))
    assert moved[0].tolist() == pytest.approx([-0.3 * np.log(0.5), 0, 0, 0, -0.3 * np.log(0.25)])


def said(text: str) -> np.ndarray:
    """A recording for `Ear`, a tenth of a second a character; loud where something is said."""
    labels = [0 if c == "." else LETTERS.index(c) + 1 for c in text]
    return np.repeat(np.array(labels, np.float32), 1600) * np.tile([1.0, -1.0], 800 * len(text)).astype(
        np.float32
    )


class Pitches(Ear):
    """A network that hears labels whatever their level: a stretch of 100 samples that turns k times is k."""

    turns = (0, 5, 10, 20, 25)

    def __call__(self, wave: torch.Tensor) -> torch.Tensor:
        pieces = wave[: len(wave) // 100 * 100].view(-1, 100)
        turns = (pieces.sign().diff(dim=1) != 0).sum(1)
        labels = (turns[:, None] - torch.tensor(self.turns)).abs().argmin(1)
        loud = pieces.std(1) > 0.3 * pieces.std(1).max()  # what fills a dead pause is not
        return super().__call__((labels * loud).repeat_interleave(100).float())


def sung(text: str) -> np.ndarray:
    """A recording for `Pitches`, a tenth of a second a character; soft noise for a point."""
    turns = [Pitches.turns[0 if c == "." else LETTERS.index(c) + 1] for c in text]
    time = np.arange(1600) / 100
    tones = np.concatenate([(k > 0) * np.sign(np.sin(np.pi * k * (time + 1e-4))) for k in turns])
    return (tones + 1e-3 * np.random.default_rng(0).standard_normal(len(tones))).astype(np.float32)


def test_characters_and_their_times():
    model = model_of(Pitches())
    result = align_file(
        sung("..ab....cd.."), "ab cd", model=model, options=Options(backend="ctc", refine="none")
    )
    assert [w.label for w in result.words] == ["", "ab", "", "cd", ""]
    assert [p.label for p in result.phones] == ["", "a", "b", "", "c", "d", ""]
    starts = [0, 0.2, 0.3, 0.4, 0.74, 0.9, 1.0]  # c is a stop, closed for 60 ms before it is heard
    assert [p.start for p in result.phones] == pytest.approx(starts, abs=0.011)
    # 0.96 where a frame holds one label; a few lie half in a pause
    assert result.quality.confidence == pytest.approx(0.943, abs=0.005)


@pytest.mark.parametrize(
    ("text", "frames", "reason"),
    [
        ("abx", 50, "the character 'x' of 'abx' is not in the model's alphabet"),
        ("abcd" * 40, 50, "the transcript's phones take at least"),
        ("--", 50, "the transcript holds only punctuation"),
    ],
)
def test_what_cannot_be_aligned(text, frames, reason):
    wave = np.tile(said("ab.."), 10)[: frames * 100]
    [result] = align([Utterance("u", wave, text)], model_of(Ear()), Options(backend="ctc"))
    assert isinstance(result, Failure)
    assert reason in result.message


def test_accents_are_dropped_where_the_alphabet_lacks_them():
    speller = Speller(set("abc'é").__contains__, "lower")
    [word], oovs = speller(normalise("Ébà", english=False))
    assert (word.pronunciations[0].phones, oovs) == (("é", "b", "a"), [])
    with pytest.raises(DataError, match="'ß' of 'aß'"):
        speller(normalise("aß", english=False))
    with pytest.raises(DataError, match="has no character"):
        speller(normalise("_", english=False) or [replace(normalise("a")[0], spoken=("-",))])


@pytest.mark.parametrize("backend", ["ctc", "ctc+hmm"])
@pytest.mark.parametrize("seconds", [0.005, 0.0126, 0.03])
def test_recordings_of_no_length(backend, seconds):
    wave = np.random.default_rng(0).normal(0, 0.1, int(16000 * seconds)).astype(np.float32)
    [result] = align([Utterance("u", wave, "hello")], None, Options(backend=backend))
    assert isinstance(result, Failure)
    assert "take at least" in result.message


def test_speech_that_begins_and_ends_at_once():
    """The network is late, and what it hears first may lie before the utterance: no phone is without
    length."""
    utterances = find(SAMPLE).utterances
    words = [w for w in aligned("hmm", utterances[:1])[0].words if w.label]
    cuts = [
        replace(
            utterances[0],
            start=w.start + d,
            end=words[-1].end - d,
            transcript=" ".join(x.label for x in words[k:]),
        )
        for k, w in enumerate(words[:-3])
        for d in (0.0, 0.02, 0.04)
    ]
    for backend in ("ctc", "dtw"):
        for result in aligned(backend, cuts):
            assert min(p.duration for p in result.phones) > 0
            assert min(w.duration for w in result.words) > 0


def test_no_wildcard_inside_a_number():
    """What is spliced into a number stays in it: a token is one word."""
    from aligner.backends.base import prepare
    from aligner.corpus.audio import read

    utterance = replace(find(SAMPLE).utterances[0], transcript="nineteen 1998 it is")
    backend = chosen(None, Options(backend="ctc", star=True))
    prepared = prepare(utterance, backend)
    graph = prepared.graph
    states = [k for k, label in enumerate(graph.phone) if label == STAR]
    follows = [
        int(graph.word[graph.word > NONE][np.searchsorted(np.flatnonzero(graph.word > NONE), k) - 1])
        for k in states
        if (graph.word[:k] > NONE).any()
    ]
    tokens = [w.token for w in prepared.spoken]
    assert len(read(utterance).wave)
    assert len(states) == len(set(tokens)) + 1
    assert all(k + 1 == len(tokens) or tokens[k] != tokens[k + 1] for k in follows)


def test_words_in_brackets_are_heard_by_the_network():
    """`[...]` in place of two words: ctc+hmm has it where these were, as ctc does."""
    utterance = find(SAMPLE).utterances[0]
    plain = [w for w in aligned("hmm", [utterance])[0].words if w.label]
    k = len(plain) // 2
    text = " ".join([*(w.label for w in plain[: k - 1]), "[two words]", *(w.label for w in plain[k + 1 :])])
    for backend in ("ctc", "ctc+hmm"):
        [result] = aligned(backend, [replace(utterance, transcript=text)])
        [bracket] = [w for w in result.words if w.label == "[two words]"]
        assert bracket.start == pytest.approx(plain[k - 1].start, abs=WORD_SLACK)
        assert bracket.end == pytest.approx(plain[k].end, abs=WORD_SLACK)
        assert result.status == "ok"


def test_networks_for_other_rates_are_refused():
    from aligner import ModelError
    from aligner.models.ctc import spelled

    ear = Ear()
    ear.clock = Clock(hop=80, window=80, rate=8000)
    with pytest.raises(ModelError, match="it hears 8000 samples a second, not 16000"):
        spelled("ear", ear, "lower")


def test_a_trained_network_hears_any_length_at_once(tmp_path):
    from aligner.models.neural import Shape, TcnNetwork

    network = TcnNetwork(["<blank>", "AA", "B"], Shape(width=8, layers=2)).eval()
    network.save(tmp_path / "model")
    loud = torch.cat([0.01 * torch.randn(16000 * 40), torch.randn(16000 * 5)])
    model = load_model(tmp_path / "model")
    assert torch.allclose(model.frontend(loud)[:, :2].exp(), network(loud)[:, 1:].exp(), atol=1e-5)


@pytest.mark.parametrize("options", [{"backend": "foo"}, {"refine": "foo"}])
def test_options_that_are_not_there(options):
    with pytest.raises(DataError, match="there is no 'foo': take one of"):
        Options(**options)


def test_what_is_not_english_is_left_as_it_is():
    tokens = normalise("Mwaka 1984, 你好! [kicheko]", english=False)
    assert [t.spelling for t in tokens] == ["Mwaka", "1984", "你", "好", "[kicheko]"]
    assert [t.spoken for t in tokens] == [("mwaka",), ("1984",), ("你",), ("好",), ("[kicheko]",)]
    assert [t.spelling for t in normalise("我 今天 很 高兴", english=False)] == ["我", "今天", "很", "高兴"]
    numbers = normalise("1 234 567 euros, 20 % de 1998 200 5 €", english=False)
    assert [t.spelling for t in numbers] == ["1 234 567", "euros", "20 %", "de", "1998", "200", "5 €"]
    assert [t.spoken[0] for t in numbers][:3] == ["1234567", "euros", "20%"]


def test_models_and_backends_that_do_not_go_together(model):
    from aligner import ModelError

    with pytest.raises(ModelError, match="it is a hidden Markov model"):
        chosen(model, Options(backend="ctc"))
    with pytest.raises(ModelError, match="take --backend ctc"):
        chosen("hama", Options(backend="hmm"))


def aligned(backend: str, utterances, **options) -> list[Alignment]:
    results = list(align(utterances, None, Options(backend=backend, **options)))
    assert all(isinstance(r, Alignment) for r in results), results
    return results


@pytest.mark.parametrize("backend", ["ctc", "ctc+hmm"])
def test_the_sample_is_aligned_as_the_hmm_aligns_it(backend, model, tmp_path):
    result = CliRunner().invoke(
        command, [str(SAMPLE), str(tmp_path / "out"), "--backend", backend, "-f", "json"]
    )
    assert result.exit_code == 0, result.output
    assert f"backend   {backend}: " in result.output
    assert "suspect   0" in result.output
    utterances = find(SAMPLE).utterances[:4]
    for ours, theirs in zip(aligned(backend, utterances), align(utterances, model), strict=True):
        words = [[w for w in a.words if w.label] for a in (ours, theirs)]
        assert [w.label for w in words[0]] == [w.label for w in words[1]]
        apart = [abs(a.start - b.start) for a, b in zip(*words, strict=True)]
        assert np.median(apart) <= at_most(0.01515)
        assert max(apart) <= at_most(0.0779)
        assert ours.phones[0].start == 0
        assert ours.phones[-1].end == theirs.phones[-1].end
        assert all(a.end == b.start for a, b in zip(ours.phones, ours.phones[1:], strict=False))


MEASURED = {
    "ctc": (18.30, 69.25, 92.14, 21.96),
    "ctc+hmm": (12.68, 81.56, 96.23, 14.98),
}  # MAE, <= 20 ms and <= 50 ms of phones, MAE of words


@pytest.mark.slow
@pytest.mark.parametrize("backend", list(MEASURED))
def test_real_speech(backend, timit, aligned_by):
    from aligner.evaluate.folders import evaluate

    report = evaluate(timit, aligned_by(backend, timit).out).report
    phones, words = report.phones, report.words
    mae, within20, within50, of_words = MEASURED[backend]
    assert phones.mae <= at_most(mae)
    assert phones.within[20] >= share_at_least(within20)
    assert phones.within[50] >= share_at_least(within50)
    assert words.mae <= at_most(of_words)


def test_a_blank_between_words_belongs_to_none():
    graph = build(linear("ab c"), alphabet())
    assert [int(graph.word[s]) for s in range(len(graph.pdf)) if graph.phone[s] == BLANK] == [
        NONE,
        0,
        NONE,
        NONE,
    ]


def test_the_backend_is_a_backend():
    from aligner.backends.base import Backend

    assert isinstance(CtcBackend(model=load_model("hama"), options=Options(backend="ctc")), Backend)


def test_dictionaries_are_of_no_use_where_words_are_spelled(tmp_path):
    for name in ("a.dict", "b.dict"):
        (tmp_path / name).write_text("ab\tA B\n")
    options = Options(backend="ctc", dictionary=tmp_path / "a.dict", add_words=[tmp_path / "b.dict"])
    found = cautions([], chosen(model_of(Ear()), options))
    assert [Path(c.where).name for c in found] == ["a.dict", "b.dict"]
    assert "'ear' writes letters, not phones: leave out --dictionary" in str(found[0])
    assert "leave out --add-words" in str(found[1])
    assert cautions([], chosen(model_of(Ear()), Options(backend="ctc"))) == ()
