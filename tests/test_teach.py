"""From corrected labels to a taught model: what is read, what is learnt, what is said where it cannot be."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.bars import at_most
from support.places import SAMPLE
from support.random_models import random_model

from aligner import align, find, load_model
from aligner.backends.base import hear
from aligner.backends.choose import chosen
from aligner.backends.options import Compute, Options
from aligner.cli import main
from aligner.corpus.labels import read_labels, tier
from aligner.corpus.tier_names import TierNames
from aligner.formats.files import read_text
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.learn import teach as teaching
from aligner.learn import tuning
from aligner.learn.corrections import (
    LONGEST_WHOLE,
    SHORTEST_CUT_PAUSE,
    SHORTEST_PIECE,
    cut_in_pauses,
    read_corrections,
)
from aligner.learn.lessons import lesson_of
from aligner.learn.teach import save_taught
from aligner.learn.truth import true_places
from aligner.models.boundary import TABLE, BoundaryModel
from aligner.models.saved import DICTIONARY
from aligner.models.store import cmu_dictionary
from aligner.refine import habits, learning
from aligner.refine.boundaries import apply_boundary_model, place_at_medians
from aligner.refine.learning import BoundaryFigures, LearningResult, Lesson, learn
from aligner.refine.offsets import with_starts
from aligner.text.phones import phone_class
from aligner.types import Interval, ModelError

LATE = 0.03  # s; how much later the planted corrections have the ends of vowels
NAMES = ("rms/kitchen", "rms/winter", "rms/station", "slt/harbour", "slt/merry", "slt/doctor")


def call(*words):
    return CliRunner().invoke(main, list(map(str, words)))


def later(phones) -> tuple[Interval, ...]:
    """Phones whose vowels end `LATE` s later."""
    return with_starts(
        phones, [b.start + LATE * (phone_class(a.label) == "vowel") for a, b in pairwise(phones)]
    )


def figures(mae: float) -> BoundaryFigures:
    return BoundaryFigures(mae=mae, median=mae, within=(50.0, 80.0, 90.0), words=mae, covered=90.0)


def learnt_of(model: BoundaryModel | None) -> LearningResult:
    return LearningResult(
        model=model,
        boundaries=9,
        groups=2,
        before=figures(12.0),
        after=figures(11.0),
        gain=1.0,
        steady=0.9,
        error=0.1,
    )


@pytest.fixture(scope="module")
def english():
    return chosen("english", compute=Compute(jobs=1))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with a corpus, its alignment ``out`` and corrections there, and what ``aligner teach`` made of
    them.
    """
    root = tmp_path_factory.mktemp("teach")
    for name in NAMES:
        (root / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".flac", ".lab"):
            shutil.copy(SAMPLE / f"{name}{suffix}", root / "corpus" / f"{name}{suffix}")
    assert call("align", root / "corpus", root / "out", "-j", 1).exit_code == 0
    for name in NAMES:
        tiers = dict(read_textgrid(root / "out" / f"{name}.TextGrid"))
        phones = later(tiers["phones"])
        path = root / "out" / "corrected" / f"{name}.TextGrid"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_textgrid(path, {"words": tiers["words"], "phones": phones}, phones[-1].end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "STEPS_FEW", 50)
        patch.setattr(tuning, "LEAST_STEPS", 150)  # of so few sentences
        patch.setattr(learning, "SIGNIFICANCE", 0.95)  # and so few steps, or no head would be taken
        for pull in ("PULL_OF_ALL", "PULL_OF_CLASS", "PULL_OF_PAIR"):  # a habit of all vowels is soon told
            patch.setattr(habits, pull, 1e9)
        told = call("teach", root / "out" / "corrected", "english", root / "new", "-j", 1)
    (root / "told").write_text(f"{told.exit_code}\n{told.output}")
    return root


def errors(run: Path, out: Path) -> np.ndarray:
    """Seconds by which boundaries in ``out`` are off the corrected ones."""
    return np.array(
        [
            abs(a.start - b.start)
            for name in NAMES
            for a, b in zip(
                tier(out / f"{name}.TextGrid", "phones"),
                tier(run / "out" / "corrected" / f"{name}.TextGrid", "phones"),
                strict=True,
            )
        ]
    )


def test_teaching_tells_what_it_is_worth(run):
    code, first, *rest = (run / "told").read_text().splitlines()
    assert code == "0"
    assert first.startswith("learnt ")
    assert f"{len(NAMES)} utterances, 2 speakers" in first
    assert any("it was:" in line for line in rest)
    assert any("it is now:" in line for line in rest)
    assert "left out  0" in rest
    assert rest[-1].split() == ["model", str(run / "new")]
    about = json.loads((run / "new" / TABLE).read_text())["about"]
    assert about["mae_ms"][1] < about["mae_ms"][0] - 2


def test_the_head_is_tuned_and_goes_along(run):
    taught = load_model(run / "new").taught
    own = load_model("english")
    assert taught.head is not None
    assert taught.head.about["tuned"] == len(NAMES)
    model = replace(own, taught=taught)
    assert model.listening is taught.head
    assert model.with_head(None).listening is None
    assert model.with_head(own.head).listening is own.head
    assert own.listening is own.head
    # of so little speech the shares of phones say nothing
    torch.testing.assert_close(taught.head.log_priors, own.head.log_priors)
    table = json.loads((run / "new" / TABLE).read_text())
    assert table["about"]["head_tuned"] is True


def test_a_tuned_head_alone_places_boundaries_as_was_corrected(run, english):
    """Without the boundary networks that learnt from the same."""
    head = load_model(run / "new").taught.head
    utterances = find(run / "corpus").utterances
    truth = [tier(run / "out" / "corrected" / f"{u.file}.TextGrid", "phones") for u in utterances]

    def off(backend) -> float:
        found = [r.phones for r in align(utterances, backend)]
        edges = [
            edge for own, true in zip(found, truth, strict=True) for edge in true_places(true, own, True)
        ]
        starts = [phone.start for own in found for phone in own[1:]]
        return float(np.nanmean(np.abs(np.array(edges) - starts)))

    assert off(english.with_head(head)) < 0.85 * off(english)


def test_a_head_that_gains_nothing_on_others_is_left_as_it_was(run, english, monkeypatch):
    items, _ = read_corrections(run / "out" / "corrected", run / "corpus", TierNames())
    pairs = [tuning.TaughtBy(item, lesson_of(english, item)) for item in items]

    def again(backend, some):
        return [lesson_of(backend, item) for item in some]

    monkeypatch.setattr(tuning, "LEARNING_RATE", 1e-12)
    assert tuning.tuned(english, english.head, english.with_head, pairs, again) is None
    monkeypatch.setattr(tuning, "LONGEST", 0.1)
    assert tuning.tuned(english, english.head, english.with_head, pairs, again) is None


def test_phones_are_learnt_between_known_boundaries(run, english):
    items, _ = read_corrections(run / "out" / "corrected", run / "corpus", TierNames())
    phones = (
        Interval(0.1, 0.2, ""),
        Interval(0.2, 0.3, "A"),
        Interval(0.3, 0.4, "B"),
        Interval(0.4, 0.5, ""),
    )
    truth = np.array([0.15, np.nan, 0.31])
    found = tuning.corrected(replace(lesson_of(english, items[0]), phones=phones, truth=truth))
    assert [(p.start, p.end, p.label) for p in found] == [
        (0.1, pytest.approx(0.25), ""),
        (pytest.approx(0.41), 0.5, ""),
    ]


def test_a_taught_model_aligns_as_was_corrected(run):
    """The recordings of the lessons, with `align -m NEW` and nothing else."""
    found = call("align", run / "corpus", run / "out2", "-m", run / "new", "-j", 1)
    assert found.exit_code == 0, found.output
    assert errors(run, run / "out2").mean() < errors(run, run / "out").mean() / 2
    assert json.loads((run / "out2" / "run.json").read_text())["taught"] is True
    assert json.loads((run / "out" / "run.json").read_text())["taught"] is False


def test_corrections_beside_align_are_teaching_and_aligning(run, tmp_path, monkeypatch):
    taught = load_model(run / "new").taught
    given = []

    def learnt(lessons, backend, mapped, **_):
        given.append((len(lessons), backend))
        return learnt_of(taught)

    monkeypatch.setattr(teaching, "learn_offsets", lambda *_: learnt_of(None))
    monkeypatch.setattr(teaching, "learn", learnt)
    monkeypatch.setattr(tuning, "LONGEST", 0.0)
    words = ("align", run / "corpus", tmp_path / "a", "-j", 1)
    both = call(*words, "--corrections", run / "out" / "corrected")
    assert both.exit_code == 0, both.output
    assert given == [(len(NAMES), "hmm")]
    call("align", run / "corpus", tmp_path / "b", "-j", 1, "-m", run / "new")
    for name in NAMES:
        assert read_textgrid(tmp_path / "a" / f"{name}.TextGrid") == read_textgrid(
            tmp_path / "b" / f"{name}.TextGrid"
        )
    refused = call(
        *words[:2], tmp_path / "c", "--corrections", run / "out" / "corrected", "--refine", "offsets"
    )
    assert refused.exit_code == 2
    assert "--refine offsets would not use" in refused.output


def test_it_is_listed_described_and_checked(run):
    listed = call("models", "list", run).output
    assert any(str(run / "new") in line and "learnt from corrections" in line for line in listed.splitlines())
    info = json.loads(call("models", "info", run / "new", "--json").output)
    assert info["name"] == "new"
    assert info["taught"]["backend"] == "hmm"
    assert info["taught"]["speakers"] == 2
    assert Path(info["dictionary"]) == cmu_dictionary()
    assert call("models", "validate", run / "new").exit_code == 0


@pytest.mark.parametrize("value", [5, ["english"], ".", {"a": 1}])
def test_a_damaged_name_of_the_acoustic_model_is_told(run, tmp_path, value):
    shutil.copytree(run / "new", tmp_path / "m")
    table = json.loads((tmp_path / "m" / TABLE).read_text())
    (tmp_path / "m" / TABLE).write_text(json.dumps({**table, "acoustic": value}))
    with pytest.raises(ModelError, match="acoustic"):
        load_model(tmp_path / "m")


def test_teaching_again_replaces_what_was_learnt(run, tmp_path, monkeypatch):
    """And it is the acoustic model's boundaries that are learnt from, not those of the first teaching."""
    lessons: list[Lesson] = []
    other = random_model(5)
    monkeypatch.setattr(teaching, "learn_offsets", lambda *_: learnt_of(None))
    monkeypatch.setattr(
        teaching, "learn", lambda given, backend, mapped, **_: lessons.extend(given) or learnt_of(other)
    )
    monkeypatch.setattr(tuning, "LONGEST", 0.0)
    for model, out in (("english", tmp_path / "first"), (run / "new", tmp_path / "again")):
        assert call("teach", run / "out" / "corrected", model, out, "-j", 1).exit_code == 0
    first, again = lessons[: len(NAMES)], lessons[len(NAMES) :]
    assert all(
        np.array_equal(a.distributions.probability, b.distributions.probability)
        for a, b in zip(first, again, strict=True)
    )
    assert all(a.width == b.width for a, b in zip(first, again, strict=True))
    files = sorted(p.name for p in (tmp_path / "again").iterdir())
    assert len(files) == 2
    assert (
        load_model(tmp_path / "again").taught.phones == other.phones != load_model(run / "new").taught.phones
    )


def test_lessons_of_corrections_tell_the_planted_habit(run, english):
    """What a lesson takes for truth is where the corrected files have it, boundary by boundary."""
    known, failures = read_corrections(run / "out" / "corrected", None, TierNames())
    assert not failures
    assert [c.utterance.file for c in known] == sorted(NAMES)
    assert all(c.utterance.audio.is_relative_to(run / "corpus") for c in known)  # found through run.json
    assert [c.utterance.speaker for c in known] == [name.split("/")[0] for name in sorted(NAMES)]
    late, vowel = [], []
    for item in known:
        one = lesson_of(english, item)
        found = place_at_medians(one.phones, one.distributions, one.width).phones
        late += (one.truth - [p.start for p in found[1:]]).tolist()
        vowel += [phone_class(p.label) == "vowel" for p in found[:-1]]
    late, vowel = np.array(late), np.array(vowel)
    assert np.isnan(late).mean() < 0.02
    assert np.nanmedian(late[vowel]) == pytest.approx(LATE, abs=1e-4)
    assert np.nanmedian(late[~vowel]) == pytest.approx(0, abs=1e-4)


# What is not learnt from


def test_where_it_does_not_help_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "learn_offsets", lambda *_: learnt_of(None))
    monkeypatch.setattr(teaching, "learn", lambda *_, **__: learnt_of(None))
    monkeypatch.setattr(tuning, "LONGEST", 0.0)
    found = call("teach", run / "out" / "corrected", "english", tmp_path / "new", "-j", 1)
    assert found.exit_code == 1
    assert "it does not help" in found.output
    assert "missing   more utterances, for these have nothing in common that the model lacks" in found.output
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_told_in_one_line(run, tmp_path, monkeypatch):
    """Lessons that gain what may be chance, of one speaker, with hardly a boundary of some kinds."""
    some = replace(learnt_of(None), groups=1, gain=0.3, more=3, rare=(("nasal-vowel", 2), ("stop-liquid", 0)))
    monkeypatch.setattr(teaching, "learn_offsets", lambda *_: learnt_of(None))
    monkeypatch.setattr(teaching, "learn", lambda *_, **__: some)
    monkeypatch.setattr(tuning, "LONGEST", 0.0)
    found = call("teach", run / "out" / "corrected", "english", tmp_path / "new", "-j", 1)
    assert found.exit_code == 1
    told = (
        f"a gain of 0.30 ms in {len(NAMES)} utterances may be chance: some {3 * len(NAMES)} such utterances "
        "would tell; other speakers, for these are of one; boundaries of these kinds, of which there are "
        "hardly any: nasal-vowel (2), stop-liquid (0)"
    )
    assert f"missing   {told}\n" in found.output
    assert "boundaries; the others count as right" in found.output  # the run's output tells what was moved


def test_a_model_that_is_there_is_refused(run, tmp_path):
    before = {p: p.read_bytes() for p in (run / "new").iterdir()}
    found = call("teach", run / "out" / "corrected", "english", run / "new")
    assert found.exit_code == 2
    assert found.output == f"teach: {run / 'new'}: a model is there already: name another folder\n"
    inside = call("teach", run / "out" / "corrected", run / "new", run / "new" / "in" / "it")
    assert inside.exit_code == 2
    assert "it lies in the folder of the model" in inside.output
    assert {p: p.read_bytes() for p in (run / "new").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nowhere", "english", "new2"), "nowhere: there is no such folder"),
        (("out/corrected", "no-model", "new2"), "there is no model of this name"),
        (
            ("out/corrected", "english", "new2", "--corpus", "nowhere"),
            "nowhere: there is no such folder: name the folder of the recordings",
        ),
        (("out/corrected", "english", "new2", "--phones", "fones"), "it has no tier 'fones'"),
        (("out/corrected", "english", "new2", "--dictionary", "none.dict"), "none.dict"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, monkeypatch, words, told):
    monkeypatch.chdir(run)
    found = call("teach", *words, "-j", 1)
    assert found.exit_code == 2
    assert told in found.output
    assert found.output.count("\n") == 1
    assert found.output.startswith("teach: ")
    assert not (run / "new2").exists()


def test_too_few_boundaries_are_told(run, tmp_path):
    """Here of one sentence of which a tier says that only its beginning was corrected."""
    tiers = dict(read_textgrid(run / "out" / "corrected" / f"{NAMES[0]}.TextGrid"))
    end = tiers["phones"][-1].end
    marks = [Interval(0, 0.5, "done"), Interval(0.5, end, "")]
    (tmp_path / NAMES[0]).parent.mkdir(exist_ok=True)
    write_textgrid(tmp_path / f"{NAMES[0]}.TextGrid", {**tiers, "Corrected": marks}, end)
    found = call("teach", tmp_path, "english", tmp_path / "new", "--corpus", run / "corpus", "-j", 1)
    assert found.exit_code == 2
    told = "boundaries of 1 corrected utterance can be learnt from, and 10 are needed: correct more\n"
    assert found.output.endswith(told)
    assert not (tmp_path / "new").exists()


def test_one_bad_file_does_not_end_it(run, tmp_path, monkeypatch):
    """Each is told with its file, the rule and what to do; the rest is learnt from; the exit status is 1."""
    corrected = tmp_path / "corrected"
    shutil.copytree(run / "out" / "corrected", corrected)
    whole = dict(read_textgrid(corrected / "rms" / "winter.TextGrid"))
    end = whole["phones"][-1].end
    (corrected / "rms" / "absent.TextGrid").write_text((corrected / "rms" / "winter.TextGrid").read_text())
    bad = {
        "damaged": None,
        "wordless": {"phones": whole["phones"]},
        "empty": {"words": [Interval(0, end, "")], "phones": [Interval(0, end, "")]},
        "unlabelled": {"notes": [Interval(0, end, "winter")]},
        "unmarked": {**whole, "corrected": [Interval(0, end, " ")]},
        "mute": {"words": [Interval(0, end, "")], "phones": whole["phones"]},
        "alien": {"words": [Interval(0, end, "colourless green ideas")], "phones": [Interval(0, end, "")]},
        "elsewhere": {
            "words": whole["words"],
            "phones": [replace(p, start=p.start / 99 + end, end=p.end / 99 + end) for p in whole["phones"]],
        },
    }
    for name, tiers in bad.items():
        shutil.copy(run / "corpus" / "rms" / "winter.flac", corrected / "rms" / f"{name}.flac")
        path = corrected / "rms" / f"{name}.TextGrid"
        if tiers is None:
            path.write_text(read_text(corrected / "rms" / "winter.TextGrid")[:900])
        else:
            write_textgrid(path, tiers, max(t[-1].end for t in tiers.values()))
    monkeypatch.setattr(teaching, "learn_offsets", lambda *_: learnt_of(None))
    monkeypatch.setattr(teaching, "learn", lambda *_, **__: learnt_of(random_model(0)))
    monkeypatch.setattr(tuning, "LONGEST", 0.0)
    found = call("teach", corrected, "english", tmp_path / "new", "-c", run / "corpus", "-j", 1)
    assert found.exit_code == 1, found.output
    assert (tmp_path / "new" / TABLE).is_file()
    assert "left out  9" in found.output
    assert "none of its boundaries is marked as corrected: write something" in found.output
    known, failures = read_corrections(corrected, run / "corpus", TierNames())
    told = {f.utterance.id.removeprefix("rms/"): f.message for f in failures}
    assert "no recording of this name" in told["absent"]
    assert "--corpus" in told["absent"]
    assert "it ends early or is damaged" in told["damaged"]
    assert "no words" in told["wordless"]
    assert "its tier of words is empty" in told["empty"]
    assert "it has no tier 'phones' or 'words': its tiers are 'notes'" in told["unlabelled"]
    assert "its tier of words is empty" in told["mute"]
    assert len(known) == len(NAMES) + 3
    assert all("\n" not in message for message in told.values())
    assert "          rms/absent: there is no recording of this name" in found.output


@pytest.mark.parametrize(
    "phones", [[Interval(0, 9, "")], [Interval(90, 90.2, "W"), Interval(90.2, 90.5, "IH")]]
)
def test_labels_of_something_else_are_no_lesson(run, english, phones):
    known, _ = read_corrections(run / "out" / "corrected", None, TierNames())
    found = lesson_of(english, replace(known[0], phones=tuple(phones)))
    assert not isinstance(found, Lesson)
    assert "another recording" in found.message


# Labels of several kinds


def test_kinds_of_labels(tmp_path):
    """A tier named after its speaker, samples beside words, and phones with a transcript: the same phones
    each time.
    """
    phones = [
        Interval(0, 0.25, ""),
        Interval(0.25, 0.5, "HH"),
        Interval(0.5, 0.75, "AY"),
        Interval(0.75, 1.0, ""),
    ]
    words = [Interval(0, 0.25, ""), Interval(0.25, 0.75, "hi"), Interval(0.75, 1.0, "")]
    folder = tmp_path / "anna"
    folder.mkdir()
    for name in ("tiers", "timit", "text"):
        soundfile.write(folder / f"{name}.wav", np.zeros(16000), 16000)
    write_textgrid(folder / "tiers.TextGrid", {"eve - words": words, "eve - phones": phones}, 1.0)
    for suffix, intervals in ((".phn", phones), (".wrd", words[1:2])):
        rows = [f"{round(16000 * i.start)} {round(16000 * i.end)} {i.label or 'h#'}" for i in intervals]
        (folder / f"timit{suffix}").write_text("\n".join(rows))
    write_textgrid(folder / "text.TextGrid", {"phones": phones}, 1.0)
    (folder / "text.lab").write_text("Hi!")
    known, failures = read_corrections(tmp_path, None, TierNames())
    assert not failures
    found = {c.utterance.id: c for c in known}
    assert {name: c.utterance.speaker for name, c in found.items()} == {
        "anna/tiers": "eve",
        "anna/timit": "anna",
        "anna/text": "anna",
    }
    assert [found[f"anna/{n}"].utterance.transcript for n in ("tiers", "timit", "text")] == [
        "hi",
        "hi",
        "Hi!",
    ]
    for c in found.values():
        assert [(p.start, p.end, p.label.replace("h#", "")) for p in c.phones] == [
            (p.start, p.end, p.label) for p in phones
        ]
        assert (c.utterance.start, c.utterance.end) == (0.0, None)
    renamed = read_corrections(tmp_path, None, TierNames("fones", "words"))[1]
    assert any("it has no tier 'fones'" in f.message for f in renamed)


def test_transcripts_lie_beside_recordings_elsewhere(tmp_path):
    phones = [Interval(0, 0.5, "HH"), Interval(0.5, 1.0, "AY")]
    for name in ("labels", "sound"):
        (tmp_path / name).mkdir()
    write_textgrid(tmp_path / "labels" / "a.TextGrid", {"phones": phones}, 1.0)
    soundfile.write(tmp_path / "sound" / "a.wav", np.zeros(16000), 16000)
    (tmp_path / "sound" / "a.txt").write_text("hi")
    [one], failures = read_corrections(tmp_path / "labels", tmp_path / "sound", TierNames())
    assert (one.utterance.transcript, one.utterance.audio, failures) == (
        "hi",
        tmp_path / "sound" / "a.wav",
        [],
    )


@given(
    st.lists(st.tuples(st.floats(0.1, 1.5), st.sampled_from([0.0, 0.1, 0.3, 1.0])), min_size=1, max_size=60)
)
def test_stretches_hold_every_word_and_are_cut_in_pauses(parts):
    words, now = [], 0.5
    for k, (length, pause) in enumerate(parts):
        words.append(Interval(now, now + length, f"w{k}"))
        now += length + pause
    found = cut_in_pauses(words, now + 0.2)
    assert [w for _, _, own in found for w in own] == words
    assert (found[0][0], found[-1][1]) == (0.0, now + 0.2)
    assert all(a[1] == b[0] for a, b in pairwise(found))
    assert all(start <= own[0].start and own[-1].end <= end for start, end, own in found)
    for (_, cut, before), (_, _, after) in pairwise(found):
        assert cut - before[-1].end == pytest.approx(after[0].start - cut)
        assert after[0].start - before[-1].end >= SHORTEST_CUT_PAUSE
        assert before[-1].end - before[0].start >= SHORTEST_PIECE
    if words[-1].end - words[0].start <= LONGEST_WHOLE:
        assert len(found) == 1


def test_pieces_of_a_long_recording_carry_their_own_truth(timit, tmp_path, english):
    """Eight sentences in one file: each boundary's truth is a label of that place, and no farther off than
    alone.
    """
    folder = timit / "dr1-fvmh0"
    waves, phones, words, now = [], [], [], 0.0
    for path in sorted(folder.glob("s*.wav"))[:8]:
        wave = soundfile.read(path, dtype="float32")[0]
        labels = read_labels(path.with_suffix(".phn"))[""]
        phones += [Interval(p.start + now, p.end + now, p.label) for p in labels.phones]
        words += [Interval(w.start + now, w.end + now, w.label) for w in labels.words]
        waves.append(wave)
        now += len(wave) / 16000
    (tmp_path / "eve").mkdir()
    soundfile.write(tmp_path / "eve" / "long.wav", np.concatenate(waves), 16000)
    for name, intervals in ((".phn", phones), (".wrd", words)):
        rows = [f"{round(16000 * i.start)} {round(16000 * i.end)} {i.label}" for i in intervals]
        (tmp_path / "eve" / f"long{name}").write_text("\n".join(rows))
    known, failures = read_corrections(tmp_path, None, TierNames())
    assert not failures
    assert len(known) >= 2
    assert [c.utterance.id for c in known] == [f"eve/long#{k + 1}" for k in range(len(known))]
    assert sum(len(c.phones) for c in known) == len(phones)
    there = np.array(sorted({t for p in phones for t in (p.start, p.end)}))
    for item in known:
        one = lesson_of(english, item)
        head = hear(item.utterance, english.traits).cuts.head  # a lesson's times are those that are heard
        truth = item.utterance.start + head + one.truth[~np.isnan(one.truth)]
        assert one.phones[0].start == pytest.approx(item.utterance.start)
        assert len(truth) > 0.8 * len(one.truth)
        assert np.mean([np.abs(there - t).min() < 1e-4 for t in truth]) > 0.99
        found = place_at_medians(one.phones, one.distributions, one.width).phones
        off = np.array([p.start - one.phones[0].start for p in found[1:]]) - one.truth
        # a pause between two rooms: the louder one's noise is heard as half a second of the T before it
        assert np.nanmean(np.abs(off)) <= at_most(0.0138)


# Which boundary is which


def chain(*labels: str, step: float = 0.1) -> list[Interval]:
    return [Interval(k * step, (k + 1) * step, label) for k, label in enumerate(labels)]


def test_other_phones_leave_the_rest_matched():
    """Corrected phones of which one was inserted, one deleted, one renamed: all others keep their places."""
    found = chain("", "K", "AE", "T", "S", "IH", "N", "D", "M", "AW", "")
    late = [Interval(p.start + 0.01, p.end + 0.01, p.label) for p in found]
    same = np.array([p.start + 0.01 for p in found[1:]])
    assert np.allclose(true_places(late, found, True), same)
    renamed = [replace(p, label="EH") if p.label == "IH" else p for p in late]
    assert np.allclose(true_places(renamed, found, True), same)
    inserted = [
        *late[:3],
        Interval(late[3].start, late[3].start + 0.05, "P"),
        Interval(late[3].start + 0.05, late[3].end, "T"),
        *late[4:],
    ]
    places = true_places(inserted, found, True)
    assert np.isnan(places[2])  # one side is the end of AE, the other the start of T: 50 ms apart
    assert np.allclose(np.delete(places, 2), np.delete(same, 2))
    k = next(k for k, p in enumerate(late) if p.label == "D")
    deleted = [*late[: k - 1], replace(late[k - 1], end=late[k].end), *late[k + 1 :]]
    places = true_places(deleted, found, True)
    assert np.allclose(np.delete(places, [k - 2, k - 1, k]), np.delete(same, [k - 2, k - 1, k]))
    assert np.isnan(places[k - 2]) or places[k - 2] == pytest.approx(same[k - 2])
    assert places[k - 1] == pytest.approx(late[k].end)  # of the M that follows, or the end of the N
    assert np.isnan(true_places(chain("ʘ"), found[:1], True)).all()


def test_a_pause_that_only_one_side_has_gives_no_place():
    found = chain("AE", "T", "S", "IH")
    paused = [
        found[0],
        Interval(0.1, 0.2, "T"),
        Interval(0.2, 0.3, ""),
        Interval(0.3, 0.4, "S"),
        Interval(0.4, 0.5, "IH"),
    ]
    assert np.isnan(true_places(paused, found, True)).tolist() == [False, True, False]
    short = [found[0], Interval(0.1, 0.2, "T"), Interval(0.2, 0.21, ""), Interval(0.21, 0.3, "S"), found[3]]
    assert true_places(short, found, True)[1] == pytest.approx(0.205)


# What is saved


def test_a_folder_is_copied_whole(tmp_path, monkeypatch, run):
    """With the dictionary that was named, not the folder's own; what stays behind may go."""
    import pocketsphinx

    own = tmp_path / "own"
    shutil.copytree(pocketsphinx.get_model_path("en-us/en-us"), own)
    (own / "aaa.dict").write_text("hello HH AH L OW\n")
    (own / "boundaries-0.safetensors").write_bytes(b"of an older teaching")
    (tmp_path / "named.dict").write_text("world W ER L D\n")
    model = random_model(1)
    save_taught(learnt_of(model), own, tmp_path / "named.dict", tmp_path / "new")
    save_taught(learnt_of(model), own, None, tmp_path / "plain")
    shutil.rmtree(own)
    named, plain = load_model(tmp_path / "new"), load_model(tmp_path / "plain")
    assert named.dictionary == tmp_path / "new" / DICTIONARY
    assert named.dictionary.read_text() == "world W ER L D\n"
    assert plain.dictionary == tmp_path / "plain" / "aaa.dict"
    assert not (tmp_path / "new" / "boundaries-0.safetensors").exists()
    assert named.taught.phones == model.phones
    save_taught(learnt_of(random_model(2, ("", "T"))), tmp_path / "new", None, tmp_path / "again")
    assert load_model(tmp_path / "again").taught.phones == ("", "T")
    assert len(list((tmp_path / "again").glob("boundaries*"))) == 2
    (tmp_path / "english").mkdir()  # a folder of the name of a model inside is not that model
    monkeypatch.chdir(tmp_path)
    save_taught(learnt_of(model), "english", None, tmp_path / "inside")
    assert json.loads((tmp_path / "inside" / TABLE).read_text())["acoustic"] == "english"


@pytest.mark.parametrize(
    ("model", "backend", "of", "used"),
    [
        ("english", "hmm", "hmm", True),
        ("english", "hmm", "dtw", False),
        ("english", "hmm", "ctc", False),
        ("english", "dtw", "dtw", True),
        ("english", "dtw", "hmm", False),
        ("hama", "ctc", "ctc", True),
        ("hama", "ctc", "hmm", False),
        ("hama", "ctc+hmm", "hmm", True),
        ("hama", "ctc+hmm", "ctc", False),
    ],
)
def test_only_its_own_backend_uses_what_was_taught(tmp_path, model, backend, of, used):
    save_taught(learnt_of(replace(random_model(1), backend=of)), model, None, tmp_path / "new")
    found = chosen(tmp_path / "new", Options(backend=backend), Compute(jobs=1))
    assert (found.traits.refinement.taught is not None) == used
    assert found.with_taught(None).traits.refinement.taught is None
    taught = replace(random_model(2), backend="hmm" if backend == "ctc+hmm" else backend)
    assert found.with_taught(taught).traits.refinement.taught is taught


# On real speech


@pytest.fixture(scope="module")
def real(timit, english) -> dict[str, list[Lesson]]:
    """Ten hand-labelled sentences of each of eight speakers."""
    known, failures = read_corrections(timit, None, TierNames())
    assert not failures
    found: dict[str, list[Lesson]] = {}
    for item in known:
        found.setdefault(item.utterance.speaker, []).append(lesson_of(english, item))
    return found


@pytest.fixture(scope="module")
def four(real) -> LearningResult:
    """LearningResult from five sentences of each of four speakers, in fewer steps than users get."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "STEPS", 80)
        return learn([one for speaker in sorted(real)[:4] for one in real[speaker][:5]], "hmm")


def of(lessons, model: BoundaryModel | None = None) -> BoundaryFigures:
    return learning._figures(
        lessons,
        [
            place_at_medians(one.phones, one.distributions, one.width)
            if model is None
            else place_at_medians(
                one.phones,
                apply_boundary_model(one.distributions, one.phones, one.energies, model),
                model.width,
            )
            for one in lessons
        ],
    )


def test_intervals_hold_hand_labels_without_teaching(real):
    assert 85 <= of([one for own in real.values() for one in own]).covered <= 95
    assert all(80 <= of(own).covered <= 97 for own in real.values())


@pytest.mark.slow
def test_what_four_speakers_teach_helps_four_others(real, four):
    others = [one for speaker in sorted(real)[4:] for one in real[speaker]]
    assert four.model is not None
    was, now = of(others), of(others, four.model)
    assert now.mae < was.mae - 0.55
    assert now.within[0] > was.within[0]
    assert 85 <= now.covered <= 95
