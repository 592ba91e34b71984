"""Objective metrics of synthesised speech: closed forms, brute force, second implementations, bad input."""

from __future__ import annotations

import math
import re
import shutil
import sys
import warnings
from dataclasses import replace

import librosa
import numpy as np
import pytest
import soundfile
from support.bars import at_most, share_at_least
from support.places import SAMPLE

from aligner.evaluate import warping
from aligner.evaluate.pitch import f0_errors
from aligner.evaluate.speech import (
    compare_recordings,
    copy_synthesis_floor,
    mel_cepstrum_distortion,
    pooled,
)
from aligner.evaluate.speech_folders import compare_folders
from aligner.evaluate.vocoder import SpeechSettings, analyse, mel_alpha, mel_cepstra, resynthesise
from aligner.evaluate.warping import aligned_path, dtw_path, linear_path
from aligner.formats.timit import read_timit
from aligner.types import DataError, Interval, ModelError

RATE, HOP = 16_000, 0.005
SEMITONE = 2 ** (1 / 12)
STRAIGHT = SpeechSettings(warp="none", floor=False)


@pytest.fixture(scope="session")
def sptk():
    """pysptk, where it and pyworld are installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both import pkg_resources
        pytest.importorskip("pyworld", reason="needs WORLD: pip install 'aligner[metrics]'")
        return pytest.importorskip("pysptk", reason="needs SPTK: pip install 'aligner[metrics]'")


@pytest.fixture(scope="session")
def world(sptk):
    return sys.modules["pyworld"]


def recording(name: str, seconds: float | None = None) -> np.ndarray:
    samples, rate = soundfile.read(SAMPLE / f"{name}.flac")
    assert rate == RATE
    return samples[: None if seconds is None else round(seconds * RATE)]


@pytest.fixture(scope="session")
def seen(world):
    return analyse(recording("slt/doctor"), RATE)


# Mel-cepstral distortion


def cepstra(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 25))


@pytest.mark.parametrize("delta", [0.1, -0.7])
def test_a_coefficient_moved_by_a_known_step_has_its_exact_distortion(delta):
    a, b = cepstra(9), cepstra(9)
    b[:, 24] += delta
    expected = 10 / math.log(10) * math.sqrt(2) * abs(delta)
    assert mel_cepstrum_distortion(a, b, linear_path(9, 9)) == pytest.approx(expected, rel=1e-12)


def test_coefficients_add_as_squares_and_frames_as_a_mean():
    a, b = cepstra(4), cepstra(4)
    b[0, [3, 7]] += [3, -4]  # a distance of 5 in one of four frames
    expected = 10 / math.log(10) * math.sqrt(2) * 5 / 4
    assert mel_cepstrum_distortion(a, b, linear_path(4, 4)) == pytest.approx(expected, rel=1e-12)


def test_the_path_says_which_frames_are_compared():
    a = cepstra(3)
    assert mel_cepstrum_distortion(a, a[[2, 0, 1]], np.array([[0, 1], [1, 2], [2, 0]])) == 0
    assert mel_cepstrum_distortion(a, a[[2, 0, 1]], linear_path(3, 3)) > 1


def test_loudness_is_not_scored(seen):
    louder = mel_cepstra(7.3 * seen.envelope, RATE)
    assert np.allclose(louder[:, 0] - seen.cepstra[:, 0], math.log(7.3) / 2, atol=1e-6)
    assert mel_cepstrum_distortion(seen.cepstra, louder, linear_path(len(louder), len(louder))) < 1e-6


@pytest.mark.parametrize("coefficient", [1, 5, 24])
def test_a_spectrum_moved_along_a_mel_cepstral_direction_has_its_exact_distortion(sptk, seen, coefficient):
    """exp(2 delta cos(m w~)) times the power spectrum adds delta to coefficient m: through the all-pass and
    back.
    """
    delta = 0.3
    tilt = sptk.mc2sp(delta * np.eye(25)[coefficient], mel_alpha(RATE), 2 * (seen.envelope.shape[1] - 1))
    moved = mel_cepstra(seen.envelope * tilt, RATE)
    expected = 10 / math.log(10) * math.sqrt(2) * delta
    distortion = mel_cepstrum_distortion(seen.cepstra, moved, linear_path(len(moved), len(moved)))
    assert distortion == pytest.approx(expected, rel=1e-5)


def test_alpha_is_the_mel_scale_of_the_rate(sptk):
    known = {16_000: 0.41, 22_050: 0.455, 24_000: 0.466, 44_100: 0.544, 48_000: 0.554}
    assert {rate: mel_alpha(rate) for rate in known} == known


# F0


def test_a_semitone_is_100_cents():
    f0 = np.array([0, 80.0, 110, 0, 333.3, 90])
    errors = f0_errors(f0, f0 * SEMITONE, linear_path(6, 6))
    assert errors.rmse_cents == pytest.approx(100, abs=1e-9)
    assert errors.rmse_hz == pytest.approx(
        (SEMITONE - 1) * math.sqrt((80**2 + 110**2 + 333.3**2 + 90**2) / 4)
    )
    assert (errors.voiced, errors.vuv, errors.gpe, errors.ffe) == (4, 0, 0, 0)


def test_f0_errors_worked_by_hand():
    reference = np.array([100, 100, 100, 0, 0, 100, 200, 0, 100, 100.0])
    estimate = np.array([100, 121, 119, 0, 50, 0, 250, 0, 81, 79.9])  # gross: 121, 250 and 79.9
    errors = f0_errors(reference, estimate, linear_path(10, 10))
    assert (errors.frames, errors.voiced, errors.voicing, errors.gross) == (10, 6, 2, 3)
    assert (errors.vuv, errors.gpe, errors.ffe) == (20, 50, 50)
    assert errors.rmse_hz == pytest.approx(math.sqrt((21**2 + 19**2 + 50**2 + 19**2 + 20.1**2) / 6))
    cents = [1200 * math.log2(r) for r in (1.21, 1.19, 1.25, 0.81, 0.799)]
    assert errors.rmse_cents == pytest.approx(math.sqrt(sum(c * c for c in cents) / 6))


def test_20_percent_are_of_the_reference():
    """150 is 25 % above 120; 120 is only 20 % below 150."""
    one, other = np.array([120.0]), np.array([150.0])
    assert f0_errors(one, other, linear_path(1, 1)).gpe == 100
    assert f0_errors(other, one, linear_path(1, 1)).gpe == 0


def test_f0_is_matched_along_the_path():
    errors = f0_errors(np.array([100.0, 0]), np.array([0, 100.0, 100]), np.array([[0, 1], [0, 2], [1, 0]]))
    assert (errors.frames, errors.ffe, errors.rmse_hz) == (3, 0, 0)


def test_what_cannot_be_computed_is_none():
    errors = f0_errors(np.array([100.0, 0]), np.array([0, 100.0]), linear_path(2, 2))
    assert (errors.rmse_hz, errors.rmse_cents, errors.gpe) == (None, None, None)
    assert (errors.vuv, errors.ffe) == (100, 100)


def test_errors_pool_over_frames_not_over_files():
    path = linear_path(1, 1)
    near = f0_errors(np.array([100.0, 100, 100]), np.array([101.0, 101, 101]), linear_path(3, 3))
    far = f0_errors(np.array([100.0]), np.array([105.0]), path)
    assert (near + far).rmse_hz == pytest.approx(math.sqrt((3 * 1 + 25) / 4))
    assert (near + far).frames == 4


# Matching frames


def paths(n: int, m: int):
    """Every monotonic path from (0, 0) to (n - 1, m - 1)."""
    if (n, m) == (1, 1):
        yield [(0, 0)]
    for i, j in ((n - 1, m - 1), (n - 1, m), (n, m - 1)):
        if i and j:
            for path in paths(i, j):
                yield [*path, (n - 1, m - 1)]


def cost(x: np.ndarray, y: np.ndarray, path) -> float:
    return sum(float(np.linalg.norm(x[i] - y[j])) for i, j in path)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (5, 1), (3, 4), (5, 3), (4, 5)])
@pytest.mark.parametrize("seed", range(4))
def test_warping_finds_the_cheapest_of_all_paths(n, m, seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(n, 2)), random.normal(size=(m, 2))
    everything = list(paths(n, m))
    found = [tuple(p) for p in dtw_path(x, y).tolist()]
    assert found in everything
    assert cost(x, y, found) == pytest.approx(min(cost(x, y, p) for p in everything))


def test_warping_costs_what_librosas_does():
    x, y = cepstra(90, 1), cepstra(130, 2)
    totals, _ = librosa.sequence.dtw(x.T, y.T, metric="euclidean")
    assert cost(x, y, dtw_path(x, y)) == pytest.approx(totals[-1, -1])


def test_equal_frames_are_matched_one_to_one():
    """All paths cost the same: the diagonal wins."""
    assert (dtw_path(np.zeros((5, 3)), np.zeros((5, 3))) == linear_path(5, 5)).all()


def test_distances_beyond_all_numbers_still_have_a_path():
    path = dtw_path(np.full((3, 1), 1e200), np.full((2, 1), -1e200))
    assert [tuple(p) for p in path.tolist()] in list(paths(3, 2))


def test_time_stretch_is_found_by_warping():
    a = cepstra(40)
    index = np.sort(np.r_[np.arange(40), np.random.default_rng(3).integers(0, 40, 25)])
    path = dtw_path(a, a[index])
    assert (path == np.c_[index, np.arange(65)]).all()
    assert (
        mel_cepstrum_distortion(a, a[index], path)
        == 0
        < mel_cepstrum_distortion(a, a[index], linear_path(40, 65))
    )


def test_alignments_map_time_piecewise_linearly():
    """aa from 0.1 to 0.3 s takes twice as long in the estimate, t as long."""
    reference = [
        Interval(0, 0.1, ""),
        Interval(0.1, 0.3, "AA1"),
        Interval(0.3, 0.4, "t"),
        Interval(0.4, 0.5, "sil"),
    ]
    estimate = [
        Interval(0, 0.1, "pau"),
        Interval(0.1, 0.5, "aa"),
        Interval(0.5, 0.6, "T"),
        Interval(0.6, 0.7, ""),
    ]
    path = aligned_path(reference, estimate, (50, 70), hop=0.01)
    expected = [t if t < 10 else 10 + 2 * (t - 10) if t < 30 else t + 20 for t in range(50)]
    assert path.tolist() == [[t, u] for t, u in enumerate(expected)]


@pytest.mark.parametrize("pause_in", [0, 1])
def test_a_pause_may_be_in_one_recording_only(pause_in):
    with_pause = [Interval(0, 0.1, "aa"), Interval(0.1, 0.3, ""), Interval(0.3, 0.4, "t")]
    without = [Interval(0, 0.1, "aa"), Interval(0.1, 0.2, "t")]
    sides, frames = ((with_pause, without), (40, 20)) if pause_in == 0 else ((without, with_pause), (20, 40))
    path = aligned_path(*sides, frames, hop=0.01)
    t = np.arange(frames[0])
    if pause_in == 0:
        assert (path[:, 1] == np.where(t < 10, t, np.where(t < 30, 10, t - 20))).all()
    else:
        at = t != 10  # the frame of the boundary itself may go to either end of the pause
        assert (path[at, 1] == np.where(t < 10, t, t + 20)[at]).all()


def test_alignments_may_run_past_the_end_of_a_recording():
    path = aligned_path([Interval(0, 0.2, "aa")], [Interval(0, 0.5, "aa")], (20, 40), hop=0.01)
    assert path[-1].tolist() == [19, 39]


def test_a_word_may_be_pronounced_in_two_ways():
    """The vowel differs, the t is in one only: the boundaries around them still say what is where."""
    slow = [
        Interval(0, 0.1, "aa"),
        Interval(0.1, 0.2, "uw"),
        Interval(0.2, 0.3, "t"),
        Interval(0.3, 0.4, "s"),
    ]
    fast = [Interval(0, 0.05, "aa"), Interval(0.05, 0.1, "ah"), Interval(0.1, 0.2, "s")]
    path = aligned_path(slow, fast, (40, 20), hop=0.01)
    assert path[[0, 10, 15, 30, 35], 1].tolist() == [0, 5, 8, 10, 15]


def test_alignments_of_different_phones_are_refused():
    aa, t = Interval(0, 0.1, "aa"), Interval(0.1, 0.2, "t")
    with pytest.raises(DataError, match=r"one: its phones are not the reference's: 1 match of 2 and 1"):
        aligned_path([aa, t], [aa], (40, 40), name="one")


# WORLD from end to end


def test_identical_recordings_have_no_errors(world):
    x = recording("slt/doctor")
    score = compare_recordings(x, x, RATE)
    assert (score.mcd, score.f0.rmse_hz, score.f0.rmse_cents) == (0, 0, 0)
    assert (score.f0.vuv, score.f0.gpe, score.f0.ffe) == (0, 0, 0)
    assert score.frames == score.reference_frames == score.estimate_frames == len(x) // 80 + 1


@pytest.mark.parametrize("name", ["slt/doctor", "rms/kitchen"])
def test_f0_raised_by_a_semitone_is_measured_as_100_cents(world, name):
    """Within 2 cents for the median; the RMSE has the tracker's own blunders in it, so within 15."""
    seen = analyse(recording(name), RATE)
    copy, raised = (analyse(resynthesise(replace(seen, f0=seen.f0 * k)), RATE) for k in (1, SEMITONE))
    both = (copy.f0 > 0) & (raised.f0 > 0)
    assert both.sum() > 200
    assert np.median(1200 * np.log2(raised.f0[both] / copy.f0[both])) == pytest.approx(100, abs=2)
    errors = f0_errors(copy.f0, raised.f0, linear_path(len(copy.f0), len(raised.f0)))
    assert errors.rmse_cents == pytest.approx(100, abs=15)


def stretched(world, seen, factor: float) -> np.ndarray:
    index = (np.arange(round(factor * len(seen.f0))) / factor).astype(int)
    sides = (np.ascontiguousarray(x[index]) for x in (seen.f0, seen.envelope, seen.aperiodicity))
    return world.synthesize(*sides, RATE, 1000 * HOP)


def test_a_slower_copy_is_as_near_as_its_own_floor(world, seen):
    slow = stretched(world, seen, 1.3)
    phones = read_timit(SAMPLE / "slt" / "doctor.phn")
    slowly = [Interval(1.3 * p.start, 1.3 * p.end, p.label) for p in phones]
    x = recording("slt/doctor")
    warped, straight = compare_recordings(x, slow, RATE), compare_recordings(x, slow, RATE, STRAIGHT)
    aligned = compare_recordings(x, slow, RATE, phones=(phones, slowly))
    assert warped.mcd < warped.floor + 0.5
    assert aligned.mcd < warped.floor + 0.7
    assert straight.mcd > warped.floor + 3
    assert (aligned.frames, straight.frames) == (aligned.reference_frames, straight.reference_frames)
    assert aligned.floor == copy_synthesis_floor(seen, STRAIGHT) > warped.floor == copy_synthesis_floor(seen)
    assert aligned.f0.rmse_cents < 50 < straight.f0.rmse_cents


def test_the_floor_is_below_another_voice(world, seen):
    floor = copy_synthesis_floor(seen)
    other = compare_recordings(recording("slt/doctor"), recording("rms/station"), RATE)
    assert 1 < floor < 4.5 < 7 < other.mcd < 12
    assert other.floor == floor


def test_distortion_agrees_with_a_second_implementation(world):
    """Mel-cepstra by the integral over the warped axis and DTW in plain Python, from WORLD's envelopes."""
    waves = recording("slt/doctor", 1.5), recording("rms/kitchen", 1.3)
    x, y = (second_cepstra(world, w) for w in waves)
    distances = np.linalg.norm(x[:, None, 1:] - y[None, :, 1:], axis=2)
    path = second_dtw(distances.tolist())
    expected = 10 / math.log(10) * math.sqrt(2) * np.mean([distances[p] for p in path])
    score = compare_recordings(*waves, RATE, SpeechSettings(floor=False))
    assert score.mcd == pytest.approx(expected, abs=0.02)
    assert score.frames == pytest.approx(len(path), abs=8)


def second_cepstra(world, wave: np.ndarray) -> np.ndarray:
    """c_m = 2 / pi * integral of log|H| cos(m w~) over the warped axis w~ (the mean for m = 0)."""
    f0, times = world.dio(wave, RATE)
    f0 = world.stonemask(wave, f0, times, RATE)
    f0[world.d4c(wave, f0, times, RATE)[:, 0] > 0.9] = 0
    envelope = world.cheaptrick(wave, f0, times, RATE)
    w = np.linspace(0, math.pi, envelope.shape[1])
    warped = w + 2 * np.arctan(0.41 * np.sin(w) / (1 - 0.41 * np.cos(w)))
    grid = (np.arange(4000) + 0.5) * math.pi / 4000
    log = np.array([np.interp(grid, warped, 0.5 * np.log(e)) for e in envelope])
    c = 2 * log @ np.cos(np.outer(grid, np.arange(25))) / 4000
    c[:, 0] /= 2
    return c


def second_dtw(d: list[list[float]]) -> list[tuple[int, int]]:
    best: dict[tuple[int, int], tuple[float, tuple[int, int] | None]] = {(0, 0): (d[0][0], None)}
    for i in range(len(d)):
        for j in range(len(d[0])):
            before = [p for p in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if p in best]
            if before:
                p = min(before, key=lambda p: best[p][0])
                best[i, j] = best[p][0] + d[i][j], p
    path = [(len(d) - 1, len(d[0]) - 1)]
    while (p := best[path[-1]][1]) is not None:
        path.append(p)
    return path[::-1]


@pytest.mark.parametrize("name", ["slt/doctor", "slt/vowels", "rms/measure"])
def test_f0_agrees_with_praat(world, name):
    """A quarter of a semitone in nearly all frames; who counts as voiced is a matter of taste, within
    limits."""
    parselmouth = pytest.importorskip("parselmouth", reason="needs Praat: pip install praat-parselmouth")
    x = recording(name)
    f0 = analyse(x, RATE).f0
    pitch = parselmouth.Sound(x, RATE).to_pitch_ac(time_step=HOP, pitch_floor=71, pitch_ceiling=600)
    at = np.array([pitch.get_value_at_time(t * HOP) for t in range(len(f0))])
    errors = f0_errors(np.nan_to_num(at), f0, linear_path(len(f0), len(f0)))
    both = (f0 > 0) & np.isfinite(at)
    assert 100 * (np.abs(1200 * np.log2(f0[both] / at[both])) < 25).mean() >= share_at_least(83.7)
    assert errors.gpe <= at_most(0.22)
    assert errors.vuv <= at_most(6.85)


def test_pauses_of_both_can_be_left_out(world):
    """Half a second of hiss, in one coloured, before the same words."""
    x, random = recording("slt/doctor"), np.random.default_rng(0)
    hiss = 1e-4 * random.normal(size=RATE // 2)
    loud = x[RATE // 2 : RATE]
    audible = replace(STRAIGHT, silence_db=50)
    a, b, c = np.r_[hiss, x], np.r_[np.cumsum(hiss) / 10, x], np.r_[loud, x]
    everything, heard = compare_recordings(a, b, RATE, STRAIGHT), compare_recordings(a, b, RATE, audible)
    assert heard.mcd < everything.mcd / 3
    assert everything.frames - 200 < heard.frames < everything.frames - 95
    assert compare_recordings(a, c, RATE, audible).frames > heard.frames + 90  # a pause in one only counts


def test_noise_has_no_f0_to_compare(world):
    random = np.random.default_rng(0)
    score = compare_recordings(*(0.1 * random.normal(size=(2, RATE // 2))), RATE)
    assert (score.f0.voiced, score.f0.rmse_hz, score.f0.rmse_cents, score.f0.gpe) == (0, None, None, None)


def test_totals_weigh_by_frames(world):
    x = recording("slt/doctor")
    scores = [compare_recordings(x[: round(s * RATE)], x[RATE:], RATE, STRAIGHT) for s in (0.5, 1.5)]
    whole = pooled(scores)
    assert whole.frames == 101 + 301
    assert whole.mcd == pytest.approx((101 * scores[0].mcd + 301 * scores[1].mcd) / 402)
    assert whole.f0 == scores[0].f0 + scores[1].f0
    assert whole.floor is None
    floors = [replace(s, floor=f) for s, f in zip(scores, (1, 2), strict=True)]
    assert pooled(floors).floor == pytest.approx((101 * 1 + 301 * 2) / 402)
    assert pooled([]) is None


# Folders


@pytest.fixture
def folders(tmp_path, world):
    """Half-second cuts; the synthesised ones are at another rate, or missing, or damaged, or too many."""
    folders = tmp_path / "natural", tmp_path / "made"
    for k, folder in enumerate(folders):
        (folder / "anna").mkdir(parents=True)
        for name in ("doctor", "harbour"):
            x = recording(f"slt/{name}")[RATE // 2 : RATE]
            y = librosa.resample(x, orig_sr=RATE, target_sr=24_000) if k else x
            soundfile.write(folder / "anna" / f"{name}{('.wav', '.flac')[k]}", y, (RATE, 24_000)[k])
    for name in ("missing", "damaged"):
        shutil.copy(folders[0] / "anna" / "doctor.wav", folders[0] / f"{name}.wav")
    (folders[1] / "damaged.wav").write_bytes(b"not audio")
    soundfile.write(folders[1] / "extra.wav", x, RATE)
    return folders


def test_folders_are_paired_by_name_and_brought_to_one_rate(folders):
    told: list[str] = []
    report = compare_folders(*folders, SpeechSettings(floor=False), done=told.append)
    assert list(report.files) == ["anna/doctor", "anna/harbour"]
    assert told == ["anna/doctor", "anna/harbour", "damaged"]
    assert report.references == 4
    for score in report.files.values():
        assert score.reference_frames == score.estimate_frames == 101  # of half a second
        assert 0 < score.mcd < 3  # resampling there and back lost the band below 8 kHz; another voice has 9
        assert score.f0.rmse_cents < 10
    assert report.rates == (RATE,)
    assert report.resampled == ("anna/doctor", "anna/harbour")
    assert report.total == pooled(report.files.values())


def test_what_is_not_compared_is_said(folders):
    problems = [str(p) for p in compare_folders(*folders, STRAIGHT).problems]
    plain = [re.sub(r" \(ffmpeg: .*\)|, empty", "", p) for p in problems]  # where ffmpeg is, it says more
    assert plain == [
        f"{folders[1] / 'missing'}: there is no synthesised recording of this name: synthesise it",
        f"{folders[1] / 'extra.wav'}: it has no reference recording: check its name and place",
        f"{folders[1] / 'damaged.wav'}: the recording cannot be read: it is damaged, or not audio",
    ]


def test_two_recordings_of_one_name_are_a_problem(folders):
    extra = folders[1] / "anna" / "doctor.wav"
    shutil.copy(folders[0] / "anna" / "doctor.wav", extra)
    report = compare_folders(*folders, STRAIGHT)
    assert (
        str(report.problems[0]) == f"{extra}: doctor.flac has the same name and is taken: remove one of them"
    )
    assert "anna/doctor" in report.resampled  # so it was the flac, of another rate


def test_folders_are_matched_by_alignments(folders, tmp_path):
    for side, label in (("a", "aa"), ("b", "aa")):
        (tmp_path / side / "anna").mkdir(parents=True)
        (tmp_path / side / "anna" / "doctor.phn").write_text(f"0 4000 pau\n4000 8000 {label}\n")
    report = compare_folders(*folders, STRAIGHT, alignments=(tmp_path / "a", tmp_path / "b"))
    assert list(report.files) == ["anna/doctor"]
    assert "anna/harbour: it has no alignment: align it, or match by warping" in [
        str(p) for p in report.problems
    ]


def test_a_folder_without_recordings_is_refused(tmp_path, world):
    with pytest.raises(DataError, match="there is no recording in this folder"):
        compare_folders(tmp_path, tmp_path)
    with pytest.raises(DataError, match="there is no such folder"):
        compare_folders(tmp_path / "none", tmp_path)


# Bad input


@pytest.mark.parametrize(
    ("wave", "rate", "rule"),
    [
        (np.zeros(0), RATE, "empty"),
        (np.zeros(RATE), RATE, "silent throughout"),
        (np.ones(RATE), RATE, "silent throughout"),
        (np.r_[np.ones(RATE), np.nan], RATE, "not numbers"),
        (np.sin(np.arange(RATE // 20)), RATE, "of 0.050 s is too short"),
        (np.sin(np.arange(8000)), 8000, "8000 Hz are too few"),
    ],
)
def test_bad_recordings_are_refused(world, wave, rate, rule):
    with pytest.raises(DataError, match=rule) as error:
        compare_recordings(
            recording("slt/doctor"), wave, rate, names=("r", "e")
        ) if rate == RATE else analyse(wave, rate, name="e")
    assert error.value.where == "e"


@pytest.mark.parametrize("library", ["pyworld", "pysptk"])
def test_a_missing_library_is_named(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModelError, match=rf"{library}.*pip install 'aligner\[metrics\]'"):
        analyse(np.ones(RATE), RATE)


@pytest.mark.parametrize(
    ("x", "y", "rule"),
    [
        (np.zeros((0, 3)), np.zeros((2, 3)), r"the reference of shape \(0, 3\)"),
        (np.zeros((2, 3)), np.zeros(3), r"the estimate of shape \(3,\)"),
        (np.zeros((2, 3)), np.full((2, 3), np.nan), "finite"),
        (np.zeros((2, 3)), np.zeros((2, 4)), "3 dimensions, the estimate 4"),
    ],
)
def test_sequences_that_do_not_go_together_are_refused(x, y, rule):
    with pytest.raises(ValueError, match=rule):
        dtw_path(x, y)


@pytest.mark.parametrize("f0", [np.array([1, np.nan]), np.array([-1.0, 1]), np.ones((2, 1))])
def test_f0_that_is_none_is_refused(f0):
    with pytest.raises(ValueError, match="estimate's F0"):
        f0_errors(np.ones(2), f0, linear_path(2, 2))


def test_a_path_without_pairs_is_refused():
    with pytest.raises(ValueError, match=r"a path of shape \(0, 2\)"):
        f0_errors(np.ones(2), np.ones(2), linear_path(0, 2))
    with pytest.raises(ValueError, match=r"a path of shape \(0, 2\)"):
        mel_cepstrum_distortion(cepstra(2), cepstra(2), linear_path(0, 2))


def test_warping_hours_is_refused(monkeypatch):
    monkeypatch.setattr(warping, "MOST_PAIRS", 11)
    with pytest.raises(DataError, match="3 by 4 frames are too many"):
        dtw_path(cepstra(3), cepstra(4))


@pytest.mark.parametrize("wrong", [{"warp": "fast"}, {"silence_db": -40.0}, {"hop": 0.0}, {"order": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SpeechSettings(**wrong)
