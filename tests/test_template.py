"""Dynamic time warping as a graph: every path by brute force, planted warps and pauses, real speech."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.bars import at_most, share_at_least
from support.places import SAMPLE

from aligner.backends.warp import phones_of, templates, warped
from aligner.corpus.audio import read
from aligner.corpus.labels import read_reference
from aligner.evaluate.boundaries import phone_boundaries, summary
from aligner.evaluate.matching import match_phones, scored_phones
from aligner.features import fine_energies
from aligner.graph import NONE, Position
from aligner.graph.template import TRAJECTORY_STEPS, StepCosts, build
from aligner.reference.frontend import FREQUENCY_WARPS, TemplateFrontend, noise_spectrum, slope, warped_edges
from aligner.reference.template import LEAST_PHONE_FRAMES, Matcher, Pause, Template, pause_of, split
from aligner.reference.trajectory import trajectory
from aligner.refine.boundaries import place_at_medians
from aligner.refine.segments import PRIOR_DEVIATION_REFERENCE, boundary_distributions
from aligner.refine.thresholds import LIMITS, WHOLE_RECORDING, Scores
from aligner.search.arcs import Arcs, NoPath
from aligner.search.viterbi import viterbi
from aligner.types import SAMPLE_RATE, Interval, Utterance

FRONTEND = TemplateFrontend()
SILENT = {"h#", "pau", "epi", "sil", "sp", ""}
FEMALE, MALE = "dr1-fvmh0", "dr2-marc0"


def wave_of(path) -> torch.Tensor:
    return torch.from_numpy(read(Utterance("a", path, "")).wave)


def reference_of(path) -> tuple[list[Interval], list[int]]:
    """Hand-labelled phones with empty labels for pauses, and the word of each (of two, where none are
    known)."""
    phones, words = read_reference(path)
    spoken = [w for w in words if w.label not in SILENT]
    owners = [
        k // 2 if not spoken else max(0, sum(w.start <= (p.start + p.end) / 2 for w in spoken) - 1)
        for k, p in enumerate(phones)
    ]
    return [Interval(p.start, p.end, "" if p.label in SILENT else p.label) for p in phones], owners


def align(wave: torch.Tensor, choice: list[Template]) -> list[Interval]:
    found = warped(FRONTEND(wave), choice)
    return list(phones_of(found, FRONTEND.clock, 0.0, len(wave) / SAMPLE_RATE)[1])


def late(reference: list[Interval], found: list[Interval]) -> list[float]:
    a, b = scored_phones(reference), scored_phones(found)
    return [x.late for x in phone_boundaries(a, b, match_phones(a, b))]


def places_of(node: list[int], pause: list[bool]) -> list[int]:
    """Frames of the reference and the pauses among them, in order."""
    places: list[int] = []
    for r, n in enumerate(node):
        places += [NONE] * ((r == 0 or node[r - 1] != n) and pause[n])
        places.append(r)
    return [*places, NONE]


def moves(k: int, places: list[int], node: list[int], steps: StepCosts):
    """Where a path may go from a place, and the weight of it."""
    if places[k] == NONE:
        return [(j, 0.0) for j in (k, k + 1) if j < len(places)]
    r = places[k]
    found = [(k, -steps.stay)] + [(k + 1, -steps.pause)] * (places[k + 1] == NONE)
    found += [(places.index(r + 1), 0.0)] if r + 1 < len(node) else []
    skippable = r + 2 < len(node) and node.count(node[r + 1]) > 1
    return found + ([(places.index(r + 2), -steps.skip)] if skippable else [])


def by_hand(scores: np.ndarray, node: list[int], pause: list[bool], steps: StepCosts) -> float:
    """The best path's weight, over all paths."""
    places = places_of(node, pause)

    def best(k: int, t: int) -> float:
        own = scores[t, places[k] if places[k] != NONE else len(node)]
        if t + 1 == len(scores):
            return own if k >= len(places) - 2 else -np.inf
        return own + max(w + best(j, t + 1) for j, w in moves(k, places, node, steps))

    return max(best(0, 0), best(1, 0))


@pytest.mark.parametrize("frames", [3, 5, 8])
@pytest.mark.parametrize(
    ("node", "pause"),
    [
        ([0, 0, 0], [True, True]),
        ([0, 0, 1, 1, 1], [True, True, True]),
        ([0, 0, 1, 2, 2], [True, False, True, True]),
        ([0, 1, 1], [True, False, True]),
    ],
)
def test_the_best_of_all_paths_is_found(frames, node, pause):
    draw = np.random.default_rng(frames * 10 + len(node))
    steps = StepCosts(0.3, 0.2, 0.5)
    for _ in range(20):
        scores = draw.normal(size=(frames, len(node) + 1)).astype(np.float32)
        labels, words = [f"p{n}" for n in range(len(pause) - 1)], np.arange(len(pause) - 1)
        graph = build(np.array(node), labels, words, np.array(pause), steps)
        expected = by_hand(scores, node, pause, steps)
        if np.isinf(expected):
            with pytest.raises(NoPath):
                viterbi(Arcs.of(graph), torch.from_numpy(scores)[None])
            continue
        path = viterbi(Arcs.of(graph), torch.from_numpy(scores)[None])
        assert float(path.score) == pytest.approx(expected, abs=1e-5)
        nodes = graph.node[path.states[0].numpy()]
        # none is left out
        assert [graph.phone[n] for n in dict.fromkeys(nodes.tolist()) if graph.phone[n]] == labels


def test_a_phone_of_one_frame_is_never_skipped():
    graph = build(np.array([0, 1, 2]), "abc", np.zeros(3, int), np.array([True, False, False, True]))
    scores = torch.tensor([[0.0, -99, -99, -99], [-99, -99, 0.0, -99], [-99, -99, 0.0, -99]])
    assert graph.pdf[viterbi(Arcs.of(graph), scores[None]).states[0].numpy()].tolist() == [0, 1, 2]


def test_a_graph_needs_pauses_at_its_ends():
    with pytest.raises(ValueError, match="both are needed"):
        build(np.zeros(3, int), ["a"], np.zeros(1, int), np.array([False, True]))


def test_scores_are_minus_distances():
    draw = np.random.default_rng(1)
    frames, known = (torch.from_numpy(draw.normal(size=(n, 4)).astype(np.float32)) for n in (6, 5))
    template = Template(
        frames=known[:4],
        node=np.zeros(4, int),
        phone=("a",),
        word=np.zeros(1, int),
        pause=np.array([True, True]),
    )
    scores = Matcher(template, Pause(known[4], loud=0.0)).score(frames)
    distances = (frames[:, None] - known).square().mean(2).sqrt()
    assert torch.allclose(scores[:, :4], -distances[:, :4], atol=1e-5)
    loud = frames[:, 0] > 0
    assert (scores[loud, 4] < -2).all()
    assert torch.allclose(scores[~loud, 4], 0.1 - distances[~loud, 4], atol=1e-5)
    some = Matcher(template, Pause(known[4], loud=0.0)).score(frames, np.array([4, 2]))
    assert torch.allclose(some, scores[:, [4, 2]])


def test_a_planted_warp_is_found():
    draw = np.random.default_rng(2)
    known = torch.from_numpy(draw.normal(size=(60, 8)).astype(np.float32))
    node = np.repeat(np.arange(6), 10)
    template = Template(
        frames=known, node=node, phone=tuple("abcdef"), word=np.arange(6), pause=np.ones(7, bool)
    )
    lengths = draw.choice([1, 1, 2, 3], 60)
    lengths[1:-1:3] = 0  # left out, never two in a row
    row = np.repeat(np.arange(60), lengths)
    quiet = np.full((7, 8), -3.0, np.float32)
    spoken = known.numpy()[row] + 0.05 * draw.normal(size=(len(row), 8)).astype(np.float32)
    where = int(np.searchsorted(row, 30))
    target = torch.from_numpy(np.concatenate([quiet, spoken[:where], quiet, spoken[where:], quiet]))
    planted = ["", *node[row[:where]], "", *node[row[where:]], ""]
    expected = np.repeat(np.arange(len(planted)), [7 if p == "" else 1 for p in planted])
    truth = ["" if planted[k] == "" else "abcdef"[int(planted[k])] for k in expected]
    found = warped(target, [template], Pause(torch.full((8,), -3.0), -2.0))
    assert [found.graph.phone[n] for n in found.graph.node[found.states]] == truth


def test_pauses_of_a_reference_are_left_out_and_short_phones_made_longer():
    phones = [
        Interval(0.0, 0.1, ""),
        Interval(0.1, 0.2, "a"),
        Interval(0.2, 0.21, "b"),
        Interval(0.3, 0.4, "c"),
    ]
    frames = torch.arange(100.0)[:, None]
    template = Template.of(frames, FRONTEND.clock, phones, [NONE, 0, 0, 0])
    assert template.phone == ("a", "b", "c")
    assert np.bincount(template.node).tolist() == [20, LEAST_PHONE_FRAMES, 20]
    assert template.pause.tolist() == [True, False, True, True]  # there is a gap before the last
    inside = FRONTEND.clock.boundary(0) + 0.005 * template.frames[:, 0]
    assert inside[0] >= 0.095
    assert inside[-1] <= 0.4
    assert set(template.thin(2).node) == {0, 1, 2}
    with pytest.raises(ValueError, match="at least one"):
        Template.of(frames, FRONTEND.clock, phones[:1], [NONE])


def test_a_label_may_become_two():
    phones, words = split(
        [Interval(0.0, 0.2, ""), Interval(0.2, 0.4, "ɑːɹ")], [NONE, 3], lambda label: ("AA", "R")
    )
    assert [(p.start, p.end, p.label) for p in phones] == [
        (0.0, 0.2, ""),
        (0.2, pytest.approx(0.3), "AA"),
        (pytest.approx(0.3), 0.4, "R"),
    ]
    assert words == (NONE, 3, 3)


def test_a_line_has_its_slope():
    assert torch.allclose(slope(torch.arange(30.0)[:, None] * 0.7, 4)[4:-4], torch.tensor(0.7))


@pytest.mark.parametrize("warp", FREQUENCY_WARPS)
def test_warped_filters_keep_their_order_and_range(warp):
    edges = warped_edges(FRONTEND, warp)
    assert (edges.diff() > 0).all()
    assert edges[0] > 0
    assert edges[-1] <= SAMPLE_RATE / 2
    assert float(edges[5] / warped_edges(FRONTEND, 1.0)[5]) == pytest.approx(warp)


@pytest.fixture(scope="module")
def kitchen():
    path = SAMPLE / "rms" / "kitchen"
    return wave_of(path.with_suffix(".flac")), *reference_of(path.with_suffix(".phn"))


def test_level_and_offset_of_a_recording_do_not_matter(kitchen):
    wave, _, _ = kitchen
    frames = FRONTEND(wave)
    assert torch.allclose(FRONTEND(0.1 * wave), frames, atol=1e-3)
    assert len(frames) == len(FRONTEND(0.1 * wave))
    assert frames.shape[1] == 26


def test_the_length_of_the_vocal_tract_is_found(kitchen):
    wave, phones, owners = kitchen
    choice = templates(wave, phones, owners)
    for k, warp in enumerate(FREQUENCY_WARPS):
        assert warped(FRONTEND(wave, warp), choice).template is choice[k]


def test_silence_that_is_put_in_is_found(kitchen):
    """A recording warped on itself, with a second more before, half a second within, and a second after."""
    wave, phones, owners = kitchen
    breaks = [
        k
        for k in range(1, len(phones))
        if owners[k] != owners[k - 1] and phones[k].label and phones[k - 1].label
    ]
    at = phones[breaks[len(breaks) // 2]].start
    noise = 1e-4 * torch.randn(SAMPLE_RATE, generator=torch.Generator().manual_seed(3))
    middle = round(at * SAMPLE_RATE)
    longer = torch.cat([noise, wave[:middle], noise[: SAMPLE_RATE // 2], wave[middle:], noise])
    found = align(longer, templates(wave, phones, owners, warps=[1.0]))
    shifted = [
        Interval(p.start + 1 + 0.5 * (p.start >= at - 1e-6), p.end + 1 + 0.5 * (p.end > at + 1e-6), p.label)
        for p in phones
        if p.label
    ]
    spoken = [p for p in found if p.label]
    assert [p.label for p in spoken] == [p.label for p in shifted]
    errors = [abs(a.start - b.start) for a, b in zip(spoken, shifted, strict=True)]
    assert max(errors) <= at_most(0.0175)
    assert np.mean(errors) <= at_most(0.00215)
    assert any(not p.label and p.start < at + 1.1 and p.end > at + 1.4 for p in found)


def test_silence_that_is_taken_out_is_not_needed(kitchen):
    """The reference has a pause where the recording has none."""
    wave, phones, owners = kitchen
    k = next(
        k
        for k in range(8, len(phones))
        if owners[k] != owners[k - 1] and phones[k].label and phones[k - 1].label
    )
    at, extra = phones[k].start, 0.4
    cut_at = round(at * SAMPLE_RATE)
    reference = torch.cat([wave[:cut_at], torch.zeros(round(extra * SAMPLE_RATE)), wave[cut_at:]])
    moved = [Interval(p.start + extra, p.end + extra, p.label) for p in phones[k:]]
    choice = templates(
        reference, [*phones[:k], Interval(at, at + extra, ""), *moved], [*owners[:k], NONE, *owners[k:]]
    )
    errors = np.abs(late(phones, align(wave, choice)))
    assert errors.max() <= at_most(0.0125)
    assert errors.mean() <= at_most(0.00199)


def test_what_fits_and_what_does_not():
    """Sentences warped on themselves, and on one another."""
    names = ["kitchen", "measure", "station"]
    read_in = [
        (wave_of(SAMPLE / "rms" / f"{n}.flac"), *reference_of(SAMPLE / "rms" / f"{n}.phn")) for n in names
    ]
    least = dict(LIMITS[Scores.DISTANCES].stretches)[WHOLE_RECORDING]
    for k, (wave, _, _) in enumerate(read_in):
        for j, other in enumerate(read_in):
            margin = warped(FRONTEND(wave), templates(*other)).evidence.margin.mean()
            assert (margin > least) == (k == j)


def test_a_reference_is_made_as_noisy_as_the_recording(kitchen):
    wave, phones, owners = kitchen
    noise = (
        torch.randn(len(wave), generator=torch.Generator().manual_seed(4)) * wave.square().mean().sqrt() * 0.2
    )
    noisy = wave + noise
    clean, like = (
        warped(FRONTEND(noisy), templates(wave, phones, owners, like=given)) for given in (None, noisy)
    )
    assert like.score / len(like.states) > clean.score / len(clean.states) + 0.1
    heard = FRONTEND.spectrum(noisy)
    found, planted = (
        noise_spectrum(heard, FRONTEND.rate / FRONTEND.hop) * heard.sum(1).mean(),
        FRONTEND.spectrum(noise).mean(0),
    )
    assert float(found[20:200].mean() / planted[20:200].mean()) == pytest.approx(0.873, rel=0.05)


def test_too_fast_speech_has_no_path(kitchen):
    wave, phones, owners = kitchen
    with pytest.raises(NoPath):
        warped(FRONTEND(wave)[::4], templates(wave, phones, owners, warps=[1.0]))


KITCHEN = "DH EH R|IH Z|AH|P AA T|AH V|S UW P|AA N|DH AH|K IH CH AH N|T EY B AH L"


def test_a_model_is_a_reference_too(model, kitchen):
    wave, phones, _ = kitchen
    words = [word.split() for word in KITCHEN.split("|")]
    found = trajectory(model.topology, model.mixtures, words)
    assert found.template.phone == tuple(p for word in words for p in word)
    frames = model.frontend(wave) * found.scale
    path = warped(frames, [found.template], pause_of(frames, found.quiet), steps=TRAJECTORY_STEPS)
    estimate = phones_of(path, model.clock, 0.0, len(wave) / SAMPLE_RATE)[1]
    errors = np.abs(late(phones, list(estimate)))
    assert len(errors) > 25
    assert errors.mean() <= at_most(0.0097)


def test_a_trajectory_goes_through_the_means_of_mixtures(model):
    found = trajectory(model.topology, model.mixtures, [["AA"]])
    first = model.topology.unit("AA", "SIL", "SIL", Position.SINGLE).pdfs[0]
    book, means = model.mixtures.codebook[first], []
    for stream in model.mixtures.streams:
        weights = stream.weights[first].numpy()
        means += list(np.average(stream.means[book].numpy(), axis=0, weights=weights))
    assert np.allclose((found.template.frames[0] / found.scale).numpy(), means, atol=1e-3)


@pytest.mark.parametrize(
    ("giver", "taker", "mae", "within50"),
    [(FEMALE, MALE, 14.27, 93.65), (MALE, FEMALE, 14.83, 95.23), (FEMALE, "dr7-fblv0", 11.86, 97.05)],
)
def test_labels_of_another_speaker_come_over(timit, giver, taker, mae, within50):
    errors = []
    for name in ("sa1", "sa2"):
        source, target = timit / giver / name, timit / taker / name
        choice = templates(wave_of(source.with_suffix(".wav")), *reference_of(source.with_suffix(".phn")))
        wave = wave_of(target.with_suffix(".wav"))
        phones = align(wave, choice)
        starts = np.array([p.start for p in phones[1:]])
        found = place_at_medians(
            phones, boundary_distributions(starts, fine_energies(wave), PRIOR_DEVIATION_REFERENCE), 1.0
        ).phones
        errors += late(list(read_reference(target.with_suffix(".phn"))[0]), list(found))
    figures = summary(errors)
    assert figures.mae <= at_most(mae)
    assert figures.within[50] >= share_at_least(within50)
    assert len(errors) > 60


def test_pauses_are_known_by_the_quietest_frames():
    level = torch.cat([torch.full((20, 1), -4.0), torch.linspace(0, 2, 80)[:, None]])
    frames = torch.cat([level, level * 0.5], 1)
    found = pause_of(frames)
    assert torch.allclose(found.mean, torch.tensor([-4.0, -2.0]))
    assert -0.5 < found.loud < 2
    assert pause_of(frames, torch.ones(2)).mean.tolist() == [1.0, 1.0]
    assert TRAJECTORY_STEPS.stay < StepCosts().stay
