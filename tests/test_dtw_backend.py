"""DTW as a backend, and labels carried over from one reading to another: real speech, planted damage, bad
input.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from support.bars import at_most, share_at_least
from support.places import SAMPLE

from aligner import (
    Alignment,
    Compute,
    DataError,
    Failure,
    ModelError,
    Options,
    Utterance,
    align,
    align_file,
    find,
)
from aligner.backends.choose import chosen
from aligner.backends.dtw import FRONTEND, _spoken
from aligner.cli import main
from aligner.corpus.labels import read_reference
from aligner.evaluate.folders import evaluate
from aligner.evaluate.matching import scored_phones
from aligner.reference.frontend import Posteriorgram
from aligner.run.cautions import cautions
from aligner.run.folder import plan, run
from aligner.text.normalise import normalise
from aligner.types import NOISE_LABEL, Clock, Interval

# MAE, <= 50 ms of phones; the same of words
MEASURED = {"espeak": (14.26, 94.53, 15.94, 93.00), "english": (13.89, 95.40, 16.83, 93.65)}


@pytest.fixture(scope="module")
def espeak():
    pytest.importorskip("espeakng_loader", reason="eSpeak NG is not installed: pip install 'aligner[dtw]'")


def command(*words: object):
    return CliRunner().invoke(main, [str(w) for w in words])


@pytest.mark.slow
@pytest.mark.parametrize("reference", list(MEASURED))
def test_real_speech(reference, timit, aligned_by, tmp_path, espeak):
    if reference == "espeak":
        out, summary = aligned_by("dtw", timit)
    else:
        out = tmp_path / "out"
        summary = run(plan(timit, out), chosen(reference, Options(backend="dtw")))
    assert not summary.failures
    assert not summary.suspects
    report = evaluate(timit, out).report
    mae, within50, of_words, words_within50 = MEASURED[reference]
    assert report.phones.mae <= at_most(mae)
    assert report.phones.within[50] >= share_at_least(within50)
    assert report.words.mae <= at_most(of_words)
    assert report.words.within[50] >= share_at_least(words_within50)


def test_the_sample_is_aligned_as_the_hmm_aligns_it(model, espeak):
    utterances = find(SAMPLE).utterances[:3]
    for ours, theirs in zip(
        align(utterances, None, Options(backend="dtw")), align(utterances, model), strict=True
    ):
        words = [[w for w in a.words if w.label] for a in (ours, theirs)]
        assert [w.label for w in words[0]] == [w.label for w in words[1]]
        assert np.median([abs(a.start - b.start) for a, b in zip(*words, strict=True)]) <= at_most(0.0113)
        assert ours.phones[0].start == 0
        assert ours.phones[-1].end == theirs.phones[-1].end
        assert all(map(model.topology.knows, {p.label for p in ours.phones if p.label}))


def spoken(language: str, text: str, **voice) -> tuple[np.ndarray, list[Interval]]:
    """A recording of another voice of eSpeak's, with half a second of silence around, and its words."""
    from aligner.reference.espeak import Synthesiser

    said = text.lower().replace(",", "").split()
    speech = Synthesiser(language=language, **voice)(said)
    hush = np.random.default_rng(0).normal(0, 1e-4, 8000).astype(np.float32)
    words = []
    for k, word in enumerate(said):
        own = [p for p, w in zip(speech.phones, speech.words, strict=True) if w == k]
        words.append(Interval(own[0].start + 0.5, own[-1].end + 0.5, word))
    return np.concatenate([hush, speech.wave, hush]), words


@pytest.mark.parametrize(
    ("language", "text", "apart"),
    [
        ("sw", "habari yako rafiki yangu leo ni siku nzuri", 0.0115),
        ("es", "buenos días, me llamo juan", 0.0128),
        ("de", "guten morgen ich wohne in berlin", 0.0382),
    ],
)
def test_a_language_without_a_model(language, text, apart, espeak):
    wave, words = spoken(language, text, variant="f2", speed=140)
    result = align_file(wave, text, options=Options(language=language))
    found = [w for w in result.words if w.label]
    assert [w.label.lower() for w in found] == [w.label for w in words]
    assert max(abs(a.start - b.start) for a, b in zip(found, words, strict=True)) <= at_most(apart)
    assert result.status == "ok"


def test_sounds_that_the_reference_lacks_are_no_pauses():
    from aligner.backends.dtw import unpaused
    from aligner.refine.pauses import Pauses

    phones = [
        Interval(a, b, label)
        for a, b, label in [(0, 0.5, ""), (0.5, 1, "o"), (1, 1.06, ""), (1.06, 1.5, "d")]
    ]
    for hushed, expected in ((True, ["", "o", "", "d"]), (False, ["", "o", "d"])):
        quiet = np.zeros(300, bool)
        quiet[200:212] = hushed
        firsts, found, owners = unpaused(
            [0, 100, 200, 212], phones, [-1, 0, -1, 1], Pauses(quiet, quiet), 0.0
        )
        assert [p.label for p in found] == expected
        assert found[-1].start == (1.06 if hushed else 1)
        assert (len(firsts), len(owners)) == (len(found), len(found))


def test_languages_are_listed(espeak):
    result = command("languages")
    assert result.exit_code == 0
    assert re.search(r"^sw +Swahili +synthesised speech: words", result.output, re.M)
    assert re.search(r"^fi +Finnish +real speech: words", result.output, re.M)
    assert re.search(r"^jbo +Lojban +listed only$", result.output, re.M)


def test_outputs_of_another_backend_are_named(corpus, tmp_path):
    assert command("align", corpus, tmp_path / "out").exit_code == 0
    again = command("align", corpus, tmp_path / "out", "--backend", "ctc")
    assert "skipped   2 files" in again.output
    assert "they were made by hmm: english" in again.output
    assert '"backend": "hmm"' in (tmp_path / "out" / "run.json").read_text()


def test_the_command_says_what_was_used(tmp_path, espeak):
    folder = tmp_path / "corpus" / "juma"
    folder.mkdir(parents=True)
    wave, _ = spoken("sw", "habari yako rafiki")
    soundfile.write(folder / "a.wav", wave, 16000)
    (folder / "a.lab").write_text("Habari yako, rafiki!", encoding="utf-8")
    result = command("align", tmp_path / "corpus", tmp_path / "out", "--language", "sw")
    assert result.exit_code == 0, result.output
    assert (
        "backend   dtw: eSpeak NG's voice 'sw' (Swahili) as the reference, for there is no model"
        in result.output
    )
    record = (tmp_path / "out" / "run.json").read_text()
    assert '"backend": "dtw"' in record
    assert '"language": "sw"' in record


def test_pauses_that_the_reference_lacks(espeak):
    wave, words = spoken("en-us", "the cat sat down and the dog ran home", variant="m3")
    cut = round(words[4].start * 16000)
    pause = np.random.default_rng(1).normal(0, 1e-4, 16000).astype(np.float32)
    with_pause = np.concatenate([wave[:cut], pause, wave[cut:]])
    result = align_file(with_pause, "the cat sat down and the dog ran home", options=Options(backend="dtw"))
    hushed = [w for w in result.words if not w.label and 0.6 < w.start < result.duration - 0.6]
    assert len(hushed) == 1
    assert hushed[0].start == pytest.approx(words[3].end, abs=0.06)
    assert hushed[0].end == pytest.approx(words[4].start + 1, abs=0.06)


def test_long_recordings_have_the_same_boundaries(espeak, monkeypatch):
    """A recording whose scores do not fit is searched in a band; the path is the same."""
    utterance = find(SAMPLE).utterances[0]
    options = Options(backend="dtw", refine="none")
    [whole] = align([utterance], None, options)
    monkeypatch.setattr("aligner.backends.warp.MOST_SCORES", 1000)
    monkeypatch.setattr("aligner.backends.warp.COMPARED_PIECE", 200)
    [piecewise] = align([utterance], None, options)
    apart = [abs(a.start - b.start) for a, b in zip(whole.phones, piecewise.phones, strict=True)]
    assert max(apart) < 0.001  # the template may be of another vocal tract
    assert piecewise.quality.margin == pytest.approx(whole.quality.margin, abs=0.5)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (dict(language="xx"), "eSpeak does not speak this language"),
        (dict(language="swahilli"), "swahili"),
        (dict(language="sw", backend="hmm"), "it is of English, not of 'sw': take --backend dtw"),
        (dict(language="sw", backend="ctc"), "it is of English, not of 'sw': take --backend dtw"),
    ],
)
def test_what_does_not_go_together(options, reason, espeak):
    with pytest.raises((DataError, ModelError), match=reason):
        chosen(None, Options(**options))


def test_dictionaries_of_other_languages_are_refused_with_what_to_do(tmp_path, espeak):
    (tmp_path / "add.dict").write_text("jambo\tj ɑ m b ɔ\n")
    with pytest.raises(DataError, match=r"add\.dict: eSpeak pronounces this language without") as caught:
        chosen(None, Options(language="sw", add_words=[tmp_path / "add.dict"]))
    assert "write what it says wrongly as this language would spell it" in caught.value.remedy


WORDS = "kitchen\tK AE1 T\n18\tDH AH0 P\nzub\tQQ\nsoup\ts uw p\n"


@pytest.mark.parametrize("how", ["add_words", "dictionary", "speakers"])
def test_the_voice_of_english_says_words_as_the_user_has_them(how, tmp_path, espeak):
    words, yaml = tmp_path / "add.dict", tmp_path / "who.yaml"
    words.write_text(WORDS)
    yaml.write_text("rms: add.dict\n")
    named = {
        "add_words": dict(add_words=[words]),
        "dictionary": dict(dictionary=words),
        "speakers": dict(dictionary=yaml),
    }
    options = Options(backend="dtw", **named[how])
    text = "18 pots of soup on the Kitchen table"
    one = Utterance("a", SAMPLE / "rms" / "kitchen.flac", text, speaker="rms")
    [result] = align([one], None, options, Compute(jobs=1))
    said = {w.label: [p.label for p in result.phones if w.start <= p.start < w.end] for w in result.words}
    assert said["Kitchen"] == ["K", "AE1", "T"]
    assert said["18"] == ["DH", "AH0", "P"]
    assert said["soup"] == ["S", "UW", "P"]
    assert said["table"] == ["T", "EY1", "B", "AH0", "L"]


def test_a_line_that_the_voice_cannot_say_is_told_and_strictly_an_error(tmp_path, espeak):
    (tmp_path / "add.dict").write_text(WORDS)
    options = Options(backend="dtw", add_words=[tmp_path / "add.dict"])
    backend = chosen(None, options)
    [told] = cautions([Utterance("a", SAMPLE / "rms" / "kitchen.flac", "zub")], backend)
    assert "'zub' has the phone 'QQ'" in told.rule
    with pytest.raises(DataError, match=r"add\.dict:3: 'zub' has the phone 'QQ'"):
        chosen(None, replace(options, strict=True))
    spoken, _ = backend.pronounce(normalise("zub Kitchen", entry=backend.pronounce.entry))
    assert [s.word for s in spoken] == ["zub", "Kitchen"]


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    from aligner.reference.espeak import library

    library.voices.cache_clear()
    with pytest.raises(ModelError, match=r"pip install 'aligner\[dtw\]'"):
        chosen(None, Options(language="sw"))


def test_what_cannot_be_aligned(espeak):
    wave = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    [result] = align([Utterance("u", wave, "one two three four five six " * 8)], None, Options(backend="dtw"))
    assert isinstance(result, Failure)
    assert "take at least" in result.message


def test_noises_alone_are_aligned_to_what_is_heard(espeak):
    wave = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    [result] = align([Utterance("u", wave, "[laughter] xxx")], None, Options(backend="dtw"))
    assert [w.label for w in result.words if w.label] == ["[laughter]", "xxx"]
    assert {p.label for p in result.phones} <= {NOISE_LABEL, ""}


@pytest.mark.parametrize("damage", ["swapped", "reversed"])
def test_damage_is_suspected(damage, espeak):
    first, other = find(SAMPLE).utterances[:2]
    from aligner.corpus.audio import read

    wave = read(first).wave
    damaged = (
        Utterance("u", wave[::-1].copy(), first.transcript)
        if damage == "reversed"
        else Utterance("u", wave, other.transcript)
    )
    [result] = align([damaged], None, Options(backend="dtw"))
    assert isinstance(result, Failure) or result.suspicions


def test_numbers_in_groups_are_one_word(espeak):
    wave, _ = spoken("fr", "il a 20000 euros")
    result = align_file(wave, "Il a 20 000 euros.", options=Options(language="fr"))
    assert [w.label for w in result.words if w.label] == ["Il", "a", "20 000", "euros"]


def test_the_means_of_a_model_tell_of_unknown_words_and_noise(model):
    utterance = replace(find(SAMPLE).utterances[0], transcript="[laughter] zxorbly and the rest of it")
    [result] = align([utterance], "english", Options(backend="dtw"))
    assert [word for word, _ in result.oovs] == ["zxorbly"]
    assert "spn" in {p.label for p in result.phones}
    assert not any("+" in p.label for p in result.phones)


def test_posteriors_of_a_model(espeak, timit, tmp_path):
    options = Options(backend="dtw", posteriors="english")
    shutil.copytree(timit / "dr3-falk0", tmp_path / "corpus" / "dr3-falk0")
    summary = run(plan(tmp_path / "corpus", tmp_path / "out"), chosen(None, options))
    assert not summary.suspects
    assert evaluate(tmp_path / "corpus", tmp_path / "out").report.phones.mae <= at_most(12.27)
    with pytest.raises(ModelError, match="it is a CTC network"):
        chosen(None, Options(backend="dtw", posteriors="hama"))


def test_what_a_head_hears_helps_in_noise(espeak, timit, tmp_path):
    """The default; of English more than of other languages, and nothing where the call says so."""
    rng = np.random.default_rng(5)
    for path in sorted((timit / "dr3-falk0").glob("*.wav")):
        wave, rate = soundfile.read(path)
        noisy = wave + wave.std() / 10 ** (3 / 20) * rng.standard_normal(len(wave))  # 3 dB
        (tmp_path / "noisy").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "noisy" / path.name, noisy / np.abs(noisy).max(), rate)
        shutil.copy(path.with_suffix(".txt"), tmp_path / "noisy")
        shutil.copy(path.with_suffix(".phn"), tmp_path / "noisy")

    def off(posteriors: str | None) -> float:
        options = Options(backend="dtw", posteriors=posteriors)
        out = tmp_path / str(posteriors)
        run(plan(tmp_path / "noisy", out), chosen(None, options))
        return evaluate(tmp_path / "noisy", out).report.phones.mae

    assert off(None) < 0.8 * off("none")
    weights = {
        language: chosen(None, Options(backend="dtw", language=language)).posteriors.weight
        for language in ("en", "fi")
    }
    assert weights["en"] > weights["fi"] > 0
    assert chosen(None, Options(backend="dtw", posteriors="none")).posteriors is None


def test_roots_of_posteriors_stand_at_the_middles_of_frames():
    def ramp(wave):
        return torch.arange(len(wave) // 160 + 1.0)[:, None].square()

    beside = Posteriorgram(hear=ramp, clock=Clock(hop=160, window=0), weight=2.0)
    own = FRONTEND.clock
    roots = beside.roots(torch.zeros(16000), own, 100)
    middles = [100 * own.boundary(t + 0.5) for t in range(100)]  # in frames of 10 ms
    torch.testing.assert_close(roots[:, 0], torch.tensor(middles), rtol=0, atol=1e-4)
    both = beside.beside(torch.ones(100, 4), roots)
    assert both.shape == (100, 5)
    torch.testing.assert_close(
        both[:, 4] / both[:, 0], 4 * roots[:, 0]
    )  # of twice the weight of four numbers


# aligner transfer


@pytest.fixture
def readings(timit, tmp_path) -> tuple[Path, Path, Path]:
    """The prompts of one speaker, with labels as TextGrids; the same sentences of two others; and their
    labels.
    """
    from aligner.formats.textgrid import write_textgrid

    prompts, targets, labels = (tmp_path / name for name in ("prompts", "targets", "labels"))
    prompts.mkdir()
    for name in ("sa1", "sa2"):
        source = timit / "dr1-fvmh0" / name
        shutil.copy(source.with_suffix(".wav"), prompts)
        phones, words = read_reference(source.with_suffix(".phn"))
        duration = soundfile.info(source.with_suffix(".wav")).duration
        tiers = {"words": gapless(words, duration), "phones": gapless(scored_phones(phones), duration)}
        write_textgrid(prompts / f"{name}.TextGrid", tiers, duration)
        for speaker in ("dr2-marc0", "dr7-fblv0"):
            for folder, suffixes in ((targets, [".wav"]), (labels, [".phn", ".wrd"])):
                (folder / speaker).mkdir(parents=True, exist_ok=True)
                for suffix in suffixes:
                    shutil.copy(timit / speaker / f"{name}{suffix}", folder / speaker)
    return prompts, targets, labels


def gapless(intervals, duration: float) -> list[Interval]:
    filled, at = [], 0.0
    for i in sorted(intervals, key=lambda i: i.start):
        start = max(i.start, at)
        if start > at:
            filled.append(Interval(at, start, ""))
        if i.end > start:
            filled.append(replace(i, start=start))
            at = i.end
    return [*filled, *([Interval(at, duration, "")] if at < duration else [])]


def test_labels_of_another_speaker(readings, tmp_path):
    prompts, targets, labels = readings
    result = command("transfer", prompts, targets, tmp_path / "out")
    assert result.exit_code == 0, result.output
    report = evaluate(labels, tmp_path / "out").report
    assert report.phones.mae <= at_most(13.00)
    assert report.phones.within[50] >= share_at_least(95.38)


def test_one_recording(readings, tmp_path):
    prompts, targets, _ = readings
    target = targets / "dr2-marc0" / "sa1.wav"
    files = prompts / "sa1.wav", prompts / "sa1.TextGrid", target
    result = command("transfer", *files)
    assert result.exit_code == 0, result.output
    _, words = read_reference(target.with_suffix(".TextGrid"))
    assert [w.label for w in words if w.label][:4] == ["she", "had", "your", "dark"]
    target.with_suffix(".json").write_text("mine")
    again = command("transfer", *files, "-f", "json", "-f", "csv")
    assert again.exit_code == 0
    assert target.with_suffix(".json").read_text() == "mine"
    assert target.with_suffix(".csv").is_file()
    assert "kept as it is" in command("transfer", *files, "-f", "json").output
    refused = command("transfer", *files, "--existing", "error")
    assert refused.exit_code == 2
    assert "it exists: use --existing skip or overwrite" in refused.output
    assert command("transfer", *files, "-f", "json", "--existing", "overwrite").exit_code == 0
    assert target.with_suffix(".json").read_text() != "mine"


def test_labels_that_change_are_read_again(readings):
    prompts, targets, _ = readings
    grid, target = prompts / "sa1.TextGrid", targets / "dr2-marc0" / "sa1.wav"
    files = prompts / "sa1.wav", grid, target
    command("transfer", *files)
    grid.write_text(grid.read_text().replace('"she"', '"SHE?"'))
    os.utime(grid, (1, 1))
    command("transfer", *files, "--existing", "overwrite")
    assert next(w.label for w in read_reference(target.with_suffix(".TextGrid"))[1] if w.label) == "SHE?"


def test_labels_of_any_kind(readings, tmp_path):
    """Punctuation is a label like any other, and a tier may end before its TextGrid."""
    prompts, targets, _ = readings
    for path in prompts.glob("*.wav"):
        phones, _ = read_reference(path.with_suffix(".TextGrid"))
        end = soundfile.info(path).duration
        spoken = [replace(p, label="?") for p in phones if p.label]
        tier = [f"0 {end} {len(spoken)}", *(f'{p.start} {p.end} "{p.label}"' for p in spoken)]
        head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", f"0 {end}", "<exists>", "1"]
        path.with_suffix(".TextGrid").write_text("\n".join([*head, '"IntervalTier" "phones"', *tier]) + "\n")
    result = command("transfer", prompts, targets, tmp_path / "out")
    assert result.exit_code == 0, result.output
    phones, _ = read_reference(tmp_path / "out" / "dr2-marc0" / "sa1.TextGrid")
    assert {p.label for p in phones} == {"?", ""}


def test_readings_without_a_prompt_and_prompts_that_do_not_fit(readings, tmp_path):
    prompts, targets, _ = readings
    shutil.copy(targets / "dr2-marc0" / "sa1.wav", targets / "dr2-marc0" / "other.wav")
    shutil.copy(SAMPLE / "rms" / "kitchen.flac", prompts / "sa2.flac")
    (prompts / "sa2.wav").unlink()
    result = command("transfer", prompts, targets, tmp_path / "out")
    assert result.exit_code == 1
    assert "dr2-marc0/other: there is no reference of this name" in result.output
    assert "its labels end at" in result.output
    assert "are they of another recording?" in result.output
    assert (tmp_path / "out" / "dr7-fblv0" / "sa1.TextGrid").is_file()


def test_references_of_one_name(readings, tmp_path):
    prompts, targets, _ = readings
    for folder in ("a", "b"):
        shutil.copytree(prompts, tmp_path / "both" / folder)
    result = command("transfer", tmp_path / "both", targets, tmp_path / "out")
    assert result.exit_code == 1
    assert "there are 2 references of this name, a/sa1 and b/sa1 among them" in result.output


def test_only_words_are_labelled(readings, tmp_path):
    prompts, targets, labels = readings
    for path in prompts.glob("*.TextGrid"):
        path.write_text(path.read_text().replace('"phones"', '"segments"'))
    assert command("transfer", prompts, targets, tmp_path / "out").exit_code == 0
    assert evaluate(labels, tmp_path / "out").report.words.mae <= at_most(14.36)
    only = command(
        "transfer", prompts, targets, tmp_path / "only", "--phones", "segments", "--words", "segments"
    )
    assert "suspect   0" in only.output
    named = command("transfer", prompts, targets, tmp_path / "named", "--phones", "segments")
    assert named.exit_code == 0
    phones, _ = read_reference(tmp_path / "named" / "dr2-marc0" / "sa1.TextGrid")
    assert len(phones) > 30


def test_the_labels_themselves_are_never_written_over(readings):
    prompts, _, _ = readings
    before = (prompts / "sa1.TextGrid").read_bytes()
    files = prompts / "sa1.wav", prompts / "sa1.TextGrid", prompts / "sa1.wav"
    result = command("transfer", *files, "--existing", "overwrite")
    assert result.exit_code == 2
    assert "would be written over" in result.output
    assert (prompts / "sa1.TextGrid").read_bytes() == before


def test_arguments_in_the_wrong_order(readings):
    prompts, targets, _ = readings
    recording, target = prompts / "sa1.wav", targets / "dr2-marc0" / "sa1.wav"
    swapped = command("transfer", recording, target, prompts / "sa1.TextGrid")
    assert swapped.exit_code == 2
    assert "it is no file of labels" in swapped.output
    folder = command("transfer", recording, prompts / "sa1.TextGrid", targets)
    assert "it is a folder, not a file" in folder.output


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_files_that_are_not_there(readings, missing):
    prompts, targets, _ = readings
    files = [prompts / "sa1.wav", prompts / "sa1.TextGrid", targets / "dr2-marc0" / "sa1.wav"]
    files[missing] = files[missing].with_name(f"no{files[missing].suffix}")
    result = command("transfer", *files)
    assert result.exit_code == 2
    assert "there is no such file" in result.output


# aligner train


@pytest.mark.slow
def test_a_trained_network_aligns(tmp_path):
    """Two epochs teach nothing: it is the way from corpus to model to TextGrids that is tried."""
    trained = command("train", SAMPLE, tmp_path / "model", "--backend", "ctc", "--epochs", "2")
    assert trained.exit_code == 0, trained.output
    assert "learnt    " in trained.output
    assert {p.name for p in (tmp_path / "model").iterdir()} == {
        "ctc.json",
        "model.safetensors",
        "dictionary.dict",
    }
    aligned = command("align", SAMPLE, tmp_path / "out", "-m", tmp_path / "model")
    assert aligned.exit_code == 0, aligned.output
    assert "backend   ctc: CTC network 'model'" in aligned.output
    again = command("train", SAMPLE, tmp_path / "model", "--backend", "ctc")
    assert again.exit_code == 2
    assert "a model is there already" in again.output


def test_a_network_of_characters(corpus, tmp_path):
    (corpus / "anna" / "winter.lab").write_text("")
    trained = command(
        "train", corpus, tmp_path / "model", "--backend", "ctc", "--characters", "--epochs", "1"
    )
    assert trained.exit_code == 1
    assert "left out  1" in trained.output
    assert "anna/winter: " in trained.output
    (corpus / "anna" / "winter.lab").unlink()
    aligned = command("align", corpus, tmp_path / "out", "-b", "ctc", "-m", tmp_path / "model")
    assert "aligned   1" in aligned.output
    phones, _ = read_reference(tmp_path / "out" / "anna" / "kitchen.TextGrid")
    assert "".join(p.label for p in phones) == "thereisapotofsouponthekitchentable"


def test_every_backend_gives_the_same_kind_of_result(espeak):
    utterance = find(SAMPLE).utterances[0]
    for backend in ("hmm", "ctc", "ctc+hmm", "dtw"):
        [result] = align([utterance], None, Options(backend=backend))
        assert isinstance(result, Alignment)
        assert result.quality.confidence is not None
        assert all(0 <= p.confidence <= 1 for p in result.phones)
        assert all(a.end == b.start for a, b in zip(result.phones, result.phones[1:], strict=False))
        assert torch.tensor([p.duration for p in result.phones]).min() > 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--language", "de"], "the dictionary inside is of English: name one"),
        (["--characters", "--dictionary", "x.dict"], "characters need none"),
        (["--device", "nowhere"], "device: there is no 'nowhere'"),
        (["--dictionary", "none.dict"], "none.dict: "),
    ],
)
def test_what_cannot_be_trained(arguments, reason, tmp_path):
    result = command("train", SAMPLE, tmp_path / "model", "--backend", "ctc", *arguments)
    assert result.exit_code == 2, result.output
    assert reason in result.output
    assert result.output.startswith("train: ")


def test_vowel_signs_are_characters():
    from aligner.text.normalise import normalise
    from aligner.text.spelling import Speller, is_letter

    [word], _ = Speller(is_letter, "lower")(normalise("नमस्ते", english=False))
    assert "".join(word.pronunciations[0].phones) == "नमस्ते"


def test_a_word_that_the_voice_has_no_sound_for_does_not_fail_its_utterance(espeak):
    text = "there is a pot of soup \ua767 on the kitchen table"
    backend = chosen(None, Options(backend="dtw"))
    _, oovs = backend.pronounce(normalise(text))
    assert oovs == [("\ua767", NOISE_LABEL)]
    [result] = align([Utterance("a", SAMPLE / "rms" / "kitchen.flac", text)], None, Options(backend="dtw"))
    assert isinstance(result, Alignment)
    assert [w.label for w in result.words if w.label][-4:] == ["on", "the", "kitchen", "table"]
    with pytest.raises(DataError, match="eSpeak has no sound"):
        backend.pronounce(normalise("\ua767"))


def test_words_that_cannot_be_spoken_are_left_out_of_the_reference():
    def speak(words):
        if "mute" in words:
            raise DataError("transcript", "eSpeak has no sound for this word", "spell it")
        return words

    def g2p(word):
        return () if word == "mute" else (word,)

    assert _spoken([("a", 0), ("mute", 1), ("b", 2)], speak, g2p) == ([("a", 0), ("b", 2)], ["a", "b"])
    with pytest.raises(DataError):
        _spoken([("mute", 0)], speak, g2p)
