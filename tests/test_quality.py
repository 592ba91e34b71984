"""What is damaged is found, what is intact is left in peace: on hand-labelled speech, in six kinds of
damage."""

from __future__ import annotations

import sys

import pytest
from support.places import ROOT, SAMPLE

from aligner import align
from aligner.refine.outliers import Lengths, likelihood_deviations
from aligner.refine.suspect import WORST_WINDOW
from aligner.refine.thresholds import Scores, Test, threshold, worst_margin
from aligner.types import Utterance

sys.path.insert(0, str(ROOT / "recipes"))
import damage as recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def speech(timit):
    return recipe.corpus(timit)


def flagged(speech, model) -> float:
    reasons = recipe.suspicious(speech, model)
    return 100 * sum(map(bool, reasons)) / len(reasons)


def test_intact_speech_is_left_in_peace(speech, model):
    assert flagged(speech, model) <= 1.3  # none is today; one of 80 may be


@pytest.mark.parametrize("damage", recipe.DAMAGES, ids=lambda d: d.__name__)
def test_damage_is_found(speech, model, damage):
    assert flagged(recipe.damaged(speech, damage, seed=7), model) >= 98.7  # all are; one of 80 may not


def test_the_table_of_thresholds_has_the_worst_of_intact_speech(speech, model):
    """What can be measured of a finished alignment; the rest is seen by the search only."""
    utterances = [Utterance(str(k), wave, text) for k, (wave, text) in enumerate(speech)]
    alignments = list(align(utterances, model))
    figures = [a.quality for a in alignments]
    lengths = Lengths()
    for a in alignments:
        lengths.add(a.phones)
    measured = {
        Test.LONG_WORD: max(q.longest_word for q in figures),
        Test.CRAMMED: max(q.crammed_run for q in figures),
        Test.LITTLE_SPEECH: min(q.speech for q in figures),
        Test.NOISY: min(q.snr for q in figures if q.snr is not None),
        Test.CLIPPED: max(q.clipped for q in figures),
        Test.UNLIKELY: min(likelihood_deviations([q.log_likelihood for q in figures])),
        Test.ODD_LENGTHS: max(lengths.deviations()),
    }
    told = {test: threshold(test).worst for test in measured}
    assert measured == pytest.approx(told, rel=0.02)
    assert worst_margin(Scores.GAUSSIANS, WORST_WINDOW) == pytest.approx(
        min(q.worst_margin for q in figures), rel=0.02
    )


def test_what_fits_badly_throughout_is_the_voice(tmp_path):
    """Limits of margins widen with a corpus of which much lies beyond them, up to the leeway; a transcript of
    another recording lies further beyond.
    """
    from dataclasses import replace as changed

    from aligner import align, find
    from aligner.refine.outliers import ENOUGH_TO_WIDEN, widened
    from aligner.run.folder import _Comparison
    from aligner.types import Suspicion

    utterances = find(SAMPLE).utterances
    [found] = align(utterances[:1])
    wrong = Suspicion(test=Test.MISFIT, text="it does not fit", at=0.0)

    def judged(misfits, leeway):
        among = _Comparison(leeway)
        rows = [{} for _ in misfits]
        for k, (misfit, row) in enumerate(zip(misfits, rows, strict=True)):
            among.add(
                changed(
                    found,
                    utterance=changed(found.utterance, id=str(k)),
                    quality=changed(found.quality, misfit=misfit),
                    suspicions=(wrong,) if misfit > 0 else (),
                ),
                row,
            )
        changes = dict(among.compared())
        return [row.get("status", "as it was") for row in rows], changes

    voice = [0.2, 0.3, 0.1, 0.25, 0.15, -0.1, 0.2, 0.3, 0.2, 3.0]
    statuses, changes = judged(voice, 1.0)
    assert statuses == [*["ok"] * 5, "as it was", *["ok"] * 3, "as it was"]
    assert all(not suspicions for suspicions in changes.values())
    assert judged(voice, 0.0)[1] == {}
    assert judged(voice[: ENOUGH_TO_WIDEN - 1], 1.0)[1] == {}
    assert widened([0.5, 3.0] * 50, 2.0) == 0.0  # half is wrong
    assert widened([-0.5, 0.5, 2.5] * 9, 2.0) == 2.0  # no more than the leeway


def test_a_recordings_json_says_what_the_tables_say(tmp_path, monkeypatch):
    """What the whole corpus takes back is taken back there, too, but not in files that were there before."""
    import csv
    import json
    from dataclasses import replace as changed

    from aligner.backends.choose import chosen
    from aligner.backends.options import Compute
    from aligner.run import folder
    from aligner.types import Suspicion

    wrong = Suspicion(test=Test.MISFIT, text="it does not fit", at=0.0)
    cut_off = Suspicion(test=Test.CLIPPED, text="too loud")
    job = folder.plan(SAMPLE, tmp_path, ["json"])
    backend = chosen(None, None, Compute(jobs=1))
    aligned = folder.completed

    def as_by_another_voice(utterances, backend):
        for place, result in aligned(utterances, backend):
            quality = changed(result.quality, misfit=3.0 if place == 0 else 0.2)
            suspicions = (wrong, cut_off) if place == 1 else (wrong,)
            yield place, changed(result, quality=quality, suspicions=suspicions)

    monkeypatch.setattr(folder, "completed", as_by_another_voice)
    summary = folder.run(job, backend)

    def told():
        files = sorted(tmp_path.rglob("*.json"))
        found = {str(f.relative_to(tmp_path).with_suffix("")): json.loads(f.read_text()) for f in files}
        del found["run"]
        return {name: content["utterances"][0] for name, content in found.items()}

    with (tmp_path / "alignment.csv").open(encoding="utf-8") as table:
        rows = {row["file"]: row for row in csv.DictReader(table)}
    assert len(rows) == len(told()) == len(job.utterances)
    for name, utterance in told().items():
        assert utterance["suspicions"] == json.loads(rows[name]["suspicions"] or "[]"), name
        assert utterance["reasons"] == [s.text for s in summary.suspects.get(name, ())]
    assert sorted(s["test"] for u in told().values() for s in u["suspicions"]) == ["clipped", "misfit"]
