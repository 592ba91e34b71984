"""Learning from corrected boundaries: planted habits are learnt, noise is not, and no network breaks an
alignment.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bars import at_most
from support.random_models import random_model

from aligner.features import FINE_FRONTEND
from aligner.models import boundary
from aligner.models.boundary import (
    BANDS,
    CANDIDATE_REACH,
    TABLE,
    UNKNOWN_PHONE,
    BoundaryModel,
    BoundaryNetwork,
    frames_around,
    normalised,
    phone_and_class_numbers,
)
from aligner.refine import learning
from aligner.refine.boundaries import MedianGrid, Refinement, Searched, apply_boundary_model, place_at_medians
from aligner.refine.confidence import Evidence
from aligner.refine.learning import (
    FARTHEST_LABEL,
    FEWEST_LESSONS,
    PIECE_BOUNDARIES,
    FitTask,
    Lesson,
    _pieces,
    assign_folds,
    fit_network,
    learn,
)
from aligner.refine.offsets import SHORTEST_INTERVAL
from aligner.refine.segments import FIRST_PLACE, PLACE_STEP, boundary_distributions
from aligner.text.phones import phone_class
from aligner.types import COVERAGE, Interval, ModelError

# A language of six phones, one a class, each a spectrum in noise; people put boundaries some ms off where it
# changes.

SPECTRA = dict(
    zip(("", "AA", "T", "S", "N", "L"), np.random.default_rng(1).normal(0, 1.5, (6, BANDS)), strict=True)
)
LATE, EARLY = 0.025, -0.015  # s; after vowels, and elsewhere
WANDER, HAND = 0.006, 0.004  # s; how far off a model's boundaries are at random, and people's


def habit(before: str, after: str) -> float:
    return LATE if phone_class(before) == "vowel" else EARLY


def lesson(rng, group: str, count: int = 14, truth=habit) -> Lesson:
    """An utterance of ``count`` phones; ``truth`` tells how late people's boundaries are."""
    labels = [""]
    while len(labels) < count:
        labels.append(str(rng.choice([p for p in SPECTRA if p != labels[-1]])))
    lengths = rng.integers(16, 30, count)
    edges = np.cumsum(lengths)
    spectra = np.repeat([SPECTRA[p] for p in labels], lengths, 0)
    energies = torch.from_numpy(8 + spectra + rng.normal(0, 0.7, spectra.shape)).float()
    changes = FIRST_PLACE + PLACE_STEP * edges[:-1]
    expected = np.sort(changes + rng.normal(0, WANDER, count - 1))
    phones = tiling([0.0, *expected.tolist(), PLACE_STEP * float(edges[-1])], labels)
    late = np.array([truth(a, b) for a, b in pairwise(labels)]) + rng.normal(0, HAND, count - 1)
    words = np.arange(count - 1) % 3 == 0
    return Lesson(
        group=group,
        phones=phones,
        energies=energies,
        distributions=boundary_distributions(expected, energies),
        width=1.7,
        truth=changes + late,
        words=words,
    )


def tiling(edges, labels):
    return tuple(Interval(a, b, label) for (a, b), label in zip(pairwise(edges), labels, strict=True))


def lessons(seed: int, count: int = 12, speakers: int = 4, truth=habit) -> list[Lesson]:
    rng = np.random.default_rng(seed)
    return [lesson(rng, f"speaker {k % speakers}", truth=truth) for k in range(count)]


def refined(one: Lesson, model: BoundaryModel):
    return place_at_medians(
        one.phones, apply_boundary_model(one.distributions, one.phones, one.energies, model), model.width
    )


def late(one: Lesson, found) -> np.ndarray:
    """Seconds by which boundaries come after people's."""
    return np.array([p.start for p in found.phones[1:]]) - one.truth


@pytest.fixture(scope="module")
def learnt():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "STEPS_FEW", 80)
        return learn(lessons(0), "hmm")


def test_a_planted_habit_is_learnt(learnt):
    assert learnt.model is not None
    assert learnt.boundaries == 12 * 13
    assert learnt.groups == 4
    assert learnt.before.mae > 15
    assert learnt.after.mae <= at_most(5.57)
    assert learnt.after.median <= at_most(4.97)
    assert learnt.gain == pytest.approx(learnt.before.mae - learnt.after.mae, abs=0.05)
    assert learnt.gain > 10 * learnt.error
    assert all(a >= b for a, b in zip(learnt.after.within, learnt.before.within, strict=True))
    assert learnt.after.words < learnt.before.words


def test_belief_and_widths_are_those_of_lessons_left_out(learnt):
    assert learnt.model.share >= 0.75
    assert 0.2 < learnt.model.width < 3
    # few lessons: rather too many than too few
    assert 100 * COVERAGE - 1 < learnt.after.covered < 100 * COVERAGE + 8


def test_what_was_learnt_holds_for_others_pair_by_pair(learnt):
    """The move of each pair of classes is the planted one, and what is heard makes up for a model's
    wandering.
    """
    fresh = lessons(99, 20)
    moves: dict[bool, list[float]] = {True: [], False: []}
    errors = []
    for one in fresh:
        found, was = refined(one, learnt.model), place_at_medians(one.phones, one.distributions, 1.0)
        errors.append(np.abs(late(one, found)))
        for k, (a, b) in enumerate(zip(was.phones[1:], found.phones[1:], strict=True)):
            moves[phone_class(one.labels[k]) == "vowel"].append(b.start - a.start)
    assert np.median(moves[True]) == pytest.approx(LATE, abs=0.006)
    assert np.median(moves[False]) == pytest.approx(EARLY, abs=0.006)
    assert np.concatenate(errors).mean() <= at_most(0.0054)
    covered = [
        edge.low <= truth <= edge.high
        for one in fresh
        for edge, truth in zip(refined(one, learnt.model).edges, one.truth, strict=True)
    ]
    assert 0.8 < np.mean(covered) < 0.99


@pytest.mark.parametrize("seed", [0, 1])
def test_nothing_is_learnt_of_noise(monkeypatch, seed):
    """People who put boundaries at random around where the sound changes: no place is better than the
    middle."""
    monkeypatch.setattr(learning, "STEPS_FEW", 40)
    rng = np.random.default_rng(seed)
    found = learn(lessons(seed, 8, truth=lambda a, b: rng.normal(0, 0.02)), "hmm")
    assert found.model is None
    assert found.gain < max(found.error, 0.5)
    assert found.more is None or found.more > 1
    assert found.after.mae > found.before.mae - 0.5


@given(st.floats(0.01, 5), st.floats(0.01, 5))
def test_so_many_times_as_many_lessons_would_show_a_gain(gain, least):
    """Standard errors fall with the root of the number of lessons."""
    times = learning._times_more(gain, least)
    assert least / np.sqrt(times) <= gain * (1 + 1e-9)
    assert times == 2 or least / np.sqrt(times - 1) > gain


@pytest.mark.parametrize("how", [learn, learning.learn_offsets])
def test_edges_of_words_alone_teach_a_model_of_these(monkeypatch, how):
    monkeypatch.setattr(learning, "STEPS_FEW", 30)
    own = [replace(one, truth=np.where(one.words, one.truth, np.nan)) for one in lessons(2)]
    found = how(own, "hmm")
    assert found.words_only
    assert found.model.words_only
    assert found.boundaries == sum(int(one.words.sum()) for one in own)
    assert not learning.learn_offsets(lessons(2), "hmm").words_only


def test_a_planted_habit_is_told_by_offsets_of_few_edges():
    """Of sixty edges of words: too few for networks to tell one spectrum from another."""
    own = [replace(one, truth=np.where(one.words, one.truth, np.nan)) for one in lessons(4)]
    found = learning.learn_offsets(own, "hmm")
    assert found.boundaries == 60
    assert found.model is not None
    offsets = found.model.offsets
    assert offsets["vowel", "stop"] < 0 < offsets["stop", "vowel"]
    fresh = lessons(5, 4)
    was, now = (
        np.mean([np.abs(late(one, how(one))).mean() for one in fresh])
        for how in (
            lambda one: place_at_medians(one.phones, one.distributions, 1.0),
            lambda one: refined(one, found.model),
        )
    )
    assert now < 0.8 * was


def test_too_few_lessons_are_none():
    with pytest.raises(ValueError, match=f"{FEWEST_LESSONS - 1} lessons"):
        learn(lessons(0, FEWEST_LESSONS - 1), "hmm")


def test_unknown_places_are_neither_learnt_nor_judged(monkeypatch):
    """Boundaries whose place is not known, and those that are far off, change no network; the far ones do
    count.
    """
    monkeypatch.setattr(learning, "STEPS_FEW", 2)
    own = lessons(0, 6)
    holes = [
        replace(one, truth=np.where(np.arange(len(one.truth)) % 4 == 1, np.nan, one.truth)) for one in own
    ]
    far = [
        replace(one, truth=np.where(np.isnan(hole.truth), one.truth + 1.0, one.truth))
        for one, hole in zip(own, holes, strict=True)
    ]
    with_holes, with_far = (learn(some, "hmm") for some in (holes, far))
    assert (
        with_holes.boundaries == sum(int((~np.isnan(one.truth)).sum()) for one in holes) < with_far.boundaries
    )
    assert with_far.before.mae > with_holes.before.mae + 200
    fits = [
        learning._task([list(_pieces(one, tuple(SPECTRA))) for one in some], range(6), len(SPECTRA), 3)
        for some in (holes, far)
    ]
    assert same_networks(*map(fit_network, fits))


def same_networks(a: BoundaryNetwork, b: BoundaryNetwork) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_the_same_seed_gives_the_same_network_here_and_in_other_processes():
    pieces = [piece for one in lessons(3, 4) for piece in _pieces(one, tuple(SPECTRA))]
    fits = [FitTask(pieces=pieces, phones=len(SPECTRA) + 1, steps=4, seed=seed) for seed in (0, 1)]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, other = map(fit_network, fits)
    assert torch.equal(torch.get_rng_state(), state)  # nobody else's random numbers change
    torch.manual_seed(8)
    assert same_networks(first, fit_network(fits[0]))
    assert not same_networks(first, other)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert all(map(same_networks, pool.map(fit_network, fits), (first, other)))


def test_a_map_over_others_gives_the_same_model(monkeypatch):
    monkeypatch.setattr(learning, "STEPS_FEW", 3)

    def backwards(work, fits):
        return [work(fit) for fit in list(fits)[::-1]][::-1]

    own = lessons(5, 6)
    a, b = learn(own, "hmm"), learn(own, "hmm", backwards)
    assert (a.before, a.after, a.gain) == (b.before, b.after, b.gain)


@given(st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=40))
def test_parts_hold_whole_groups_and_balance(groups):
    parts = assign_folds(groups)
    names = set(groups)
    assert set(parts) == set(range(max(parts) + 1))
    assert len(set(parts)) == (
        min(learning.FOLDS, len(groups)) if len(names) == 1 else min(learning.FOLDS, len(names))
    )
    if len(names) > 1:
        assert all(len({p for p, g in zip(parts, groups, strict=True) if g == name}) == 1 for name in names)
        # as Graham (1969) has it, the largest part is no larger than its last group makes it
        sizes = Counter(parts)
        assert max(sizes.values()) <= len(groups) / len(sizes) + max(Counter(groups).values())
    else:
        assert max(Counter(parts).values()) - min(Counter(parts).values()) <= 1


@pytest.mark.parametrize(
    "count", [2, PIECE_BOUNDARIES, PIECE_BOUNDARIES + 1, PIECE_BOUNDARIES + 2, 2 * PIECE_BOUNDARIES + 1, 130]
)
def test_pieces_hold_every_boundary_once(count):
    one = lesson(np.random.default_rng(count), "anna", count)
    around, (pairs, classes) = (
        MedianGrid.around(one.distributions),
        phone_and_class_numbers(one.labels, tuple(SPECTRA)),
    )
    pieces = list(_pieces(one, tuple(SPECTRA)))
    assert all(1 <= len(p.at) <= PIECE_BOUNDARIES for p in pieces)
    for name, whole in (
        ("pairs", pairs),
        ("classes", classes),
        ("log_probability", around.log_probability.astype(np.float32)),
        ("distance", around.distance.astype(np.float32)),
    ):
        assert np.array_equal(np.concatenate([getattr(p, name) for p in pieces]), whole)
    grid = FIRST_PLACE + PLACE_STEP * (
        around.middle[:, None] + np.arange(-CANDIDATE_REACH, CANDIDATE_REACH + 1)
    )
    target = np.concatenate([p.target for p in pieces])
    assert np.allclose(target, np.abs(grid - one.truth[:, None]), atol=1e-6)
    assert np.array_equal(
        np.concatenate([p.known for p in pieces]), target[:, CANDIDATE_REACH] < FARTHEST_LABEL
    )


def test_a_piece_is_heard_as_the_whole_is():
    one = lesson(np.random.default_rng(4), "anna", 150)
    torch.manual_seed(0)
    network = BoundaryNetwork(3).eval()
    with torch.inference_mode():
        whole = network.encode(normalised(one.energies)[None])[0]
        at = frames_around(MedianGrid.around(one.distributions).middle, len(whole), CANDIDATE_REACH)
        heard = [network.encode(piece.energies[None])[0][piece.at] for piece in _pieces(one, ())]
    assert torch.allclose(torch.cat(heard), whole[at], atol=1e-5)


def test_variations_are_of_the_spectrum_and_leave_time_as_it_is():
    energies = torch.zeros(200, BANDS)
    energies[100:] = 10.0
    found = learning.varied(energies, np.random.default_rng(0))
    assert found.shape == energies.shape
    steps = found.mean(1).diff().abs()
    assert int(steps.argmax()) == 99


# The model itself


def probabilities(model: BoundaryModel, one: Lesson) -> np.ndarray:
    around = MedianGrid.around(one.distributions)
    return model(one.energies, around.middle, one.labels, around.log_probability, around.distance)


@pytest.fixture(scope="module")
def spoken() -> Lesson:
    return lesson(np.random.default_rng(11), "anna", 9)


def test_saved_and_loaded_it_says_the_same(tmp_path, spoken):
    model = random_model(2, ("", "ɑː", "S", "9"), 0.75, 1.3, 0.2)
    model.save(tmp_path, acoustic="english")
    loaded, table = BoundaryModel.load(tmp_path)
    assert np.array_equal(probabilities(model, spoken), probabilities(loaded, spoken))
    assert (loaded.backend, loaded.phones, loaded.share, loaded.width) == ("hmm", model.phones, 0.75, 1.3)
    assert loaded.about == model.about
    assert table["acoustic"] == "english"


@pytest.mark.parametrize(
    "field",
    ["backend", "phones", "networks", "share", "width", "about", "weights", "sha256", "shapes", "version"],
)
def test_a_missing_field_is_told(tmp_path, field):
    random_model(0).save(tmp_path)
    table = json.loads((tmp_path / TABLE).read_text())
    del table[field]
    (tmp_path / TABLE).write_text(json.dumps(table))
    with pytest.raises(ModelError) as error:
        BoundaryModel.load(tmp_path)
    assert TABLE in str(error.value)
    assert field in str(error.value) or field == "shapes"
    assert "\n" not in str(error.value)
    assert error.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", 5),
        ("phones", 5),
        ("phones", None),
        ("phones", ["AA"]),
        ("phones", "AAST"),
        ("networks", 0),
        ("networks", -1),
        ("networks", 3),
        ("networks", "two"),
        ("networks", float("inf")),
        ("share", float("nan")),
        ("share", 7),
        ("share", "half"),
        ("width", -1),
        ("width", float("nan")),
        ("width", float("inf")),
        ("about", 5),
    ],
)
def test_a_damaged_field_is_told(tmp_path, field, value):
    random_model(0).save(tmp_path)
    table = json.loads((tmp_path / TABLE).read_text())
    (tmp_path / TABLE).write_text(json.dumps({**table, field: value}))
    with pytest.raises(ModelError, match="teach it again") as error:
        BoundaryModel.load(tmp_path)
    assert str(tmp_path / TABLE) in str(error.value)
    assert "\n" not in str(error.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["backend", "phones", "networks", "share", "width", "about", "version", "weights", "shapes"]
    ),
    anything,
)
def test_no_damage_raises_anything_else(tmp_path, spoken, field, value):
    random_model(0).save(tmp_path)
    path = tmp_path / TABLE
    whole = path.read_text()
    path.write_text(json.dumps({**json.loads(whole), field: value}))
    try:
        found = probabilities(BoundaryModel.load(tmp_path)[0], spoken)
        assert np.allclose(found.sum(1), 1)
    except ModelError:
        pass
    finally:
        path.write_text(whole)


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 40, -1])
def test_a_truncated_file_is_told(tmp_path, suffix, kept):
    random_model(0).save(tmp_path)
    path = next(tmp_path.glob(f"*{suffix}"))
    path.write_bytes(path.read_bytes()[: kept - (suffix == ".json") if kept < 0 else kept])
    with pytest.raises(ModelError):
        BoundaryModel.load(tmp_path)


def test_nothing_counts_where_the_share_is_none(spoken):
    before = np.exp(MedianGrid.around(spoken.distributions).log_probability)
    before /= before.sum(1, keepdims=True)
    assert np.allclose(probabilities(random_model(1, share=0.0), spoken), before)
    assert not np.allclose(probabilities(random_model(1, share=0.5), spoken), before, atol=0.05)


def test_networks_are_averaged(spoken):
    model = random_model(3, size=0.2)
    alone = [probabilities(replace(model, networks=(network,)), spoken) for network in model.networks]
    assert np.allclose(probabilities(model, spoken), np.mean(alone, 0), atol=1e-4)


def test_unknown_phones_are_as_one(spoken):
    """Labels that were in no lesson count by their class alone."""
    model = random_model(4, size=0.2)
    pairs, classes = phone_and_class_numbers(["ZH", "AA1", "9", "_^~", "ɱ", "AA"], model.phones)
    assert pairs.tolist() == [
        [UNKNOWN_PHONE, 2],
        [2, UNKNOWN_PHONE],
        [UNKNOWN_PHONE, UNKNOWN_PHONE],
        [UNKNOWN_PHONE, UNKNOWN_PHONE],
        [UNKNOWN_PHONE, 2],
    ]
    assert ((classes >= 0) & (classes < len(boundary.CLASSES) ** 2)).all()
    voices = [
        replace(
            spoken, phones=tuple(replace(p, label={"S": name}.get(p.label, p.label)) for p in spoken.phones)
        )
        for name in ("SH", "ʂ", "S")
    ]
    first, second, known = (probabilities(model, one) for one in voices)
    assert np.array_equal(first, second)
    assert "S" not in spoken.labels or not np.array_equal(first, known)


labels = st.sampled_from(
    ["", "AA1", "T", "N", "S", "L", "9", "@", "_^~", "tʃ", "ɑː", "<unk>", "spn", "3:", "x" * 9]
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(labels, st.floats(0.0005, 0.4)), min_size=2, max_size=15),
    st.integers(0, 99),
    st.floats(0, 1),
    st.floats(0, 5),
    st.sampled_from([0.05, 1.0, 100.0]),
    st.floats(-0.2, 0.2),
)
def test_no_network_reorders_or_empties_an_interval(parts, seed, share, width, size, offset):
    edges = np.cumsum([0.0, *(length for _, length in parts)]).round(5).tolist()
    before = tiling(edges, [label for label, _ in parts])
    model = random_model(seed, share=share, width=width, size=size, networks=1)
    wave = (
        0.1
        * torch.from_numpy(
            np.random.default_rng(seed).normal(size=max(round(16000 * edges[-1]), 400))
        ).float()
    )
    clock = FINE_FRONTEND.clock
    frames = round(clock.frame(edges[-1])) + 2
    nothing = np.zeros(max(frames, len(parts)))
    searched = Searched(before, range(len(parts)), Evidence(nothing, nothing, nothing, nothing), clock)
    offsets = {(phone_class(a.label), phone_class(b.label)): offset for a, b in pairwise(before)}
    after, sure = Refinement(offsets=offsets, taught=model)(searched, wave)
    assert [p.label for p in after] == [p.label for p in before]
    assert (after[0].start, after[-1].end) == (before[0].start, before[-1].end)
    assert all(a.end == b.start for a, b in pairwise(after))
    for old, new in zip(before, after, strict=True):
        assert new.duration >= min(SHORTEST_INTERVAL, old.duration) - 1e-4
        assert new.duration > 0
    assert [e.time for e in sure] == [p.start for p in after[1:]]
    assert all(after[0].start <= e.low <= e.time <= e.high <= after[-1].end for e in sure)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 99), st.floats(0, 1), st.sampled_from([0.05, 1.0, 1000.0]))
def test_rows_are_distributions(seed, share, size):
    found = probabilities(
        random_model(seed, share=share, size=size), lesson(np.random.default_rng(seed), "anna", 6)
    )
    assert found.shape == (5, 2 * CANDIDATE_REACH + 1)
    assert (found >= 0).all()
    assert np.allclose(found.sum(1), 1)


def test_a_refinement_uses_what_was_taught(learnt, spoken):
    """The whole refinement is the same as its steps, and its intervals have the taught width."""
    one = spoken
    wave = torch.from_numpy(
        np.random.default_rng(0).normal(0, 0.1, round(16000 * one.phones[-1].end))
    ).float()
    nothing = np.zeros(round(one.phones[-1].end / PLACE_STEP))
    searched = Searched(
        one.phones,
        [round(p.start / PLACE_STEP) for p in one.phones],
        Evidence(nothing, nothing, nothing, nothing),
        FINE_FRONTEND.clock,
    )
    how = Refinement(taught=learnt.model)
    found = how(searched, wave)
    energies = FINE_FRONTEND.energies(wave)
    expected = replace(
        one, energies=energies, distributions=how.distributions(searched, one.phones, energies)
    )
    assert found == refined(expected, learnt.model)
    assert found.phones != Refinement()(searched, wave).phones
