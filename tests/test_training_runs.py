"""Training and adapting from end to end: what comes out, what an interruption leaves, what is told of bad
input.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from support.places import SAMPLE

from aligner import Alignment, align, find, load_model
from aligner.backends.choose import chosen
from aligner.backends.options import Compute
from aligner.backends.options import Options as AlignOptions
from aligner.backends.speakers import transform_for
from aligner.check.models import checked, described
from aligner.cli import main
from aligner.corpus import audio
from aligner.features import CepstralFrontend, affine
from aligner.learn import adapt as adapting
from aligner.learn import spread, train_head
from aligner.learn.hmm_options import Options, options_of
from aligner.learn.pronouncing import Text
from aligner.learn.train_hmm import train_hmm
from aligner.models import packed, saved
from aligner.models.markov import MarkovModel, SpeakerTransform
from aligner.train import stages as schedule
from aligner.train.stages import RECIPES, Stage
from aligner.types import DataError, ModelError

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="eSpeak NG is not installed: pip install 'aligner[dtw]'",
)
TINY = (Stage(kind="monophone", iterations=2),)
EVERY = (
    Stage(kind="monophone", iterations=6, gaussians=300, every=3),
    Stage(kind="triphone", iterations=3, gaussians=300, leaves=150, every=2),
    Stage(kind="lda", iterations=3, gaussians=300, every=2),
    Stage(kind="sat", iterations=3, gaussians=300, every=2),
    Stage(kind="pronunciations", iterations=2),
)
ITERATIONS = sum(s.iterations for s in EVERY)
TEXT = Text()
FLAT = ("--start", "flat")


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def numbers(folder: Path) -> bytes:
    """The weights of the one model in a folder."""
    [path] = folder.glob("hmm-*.safetensors")
    return path.read_bytes()


def config(folder: Path, stages=TINY) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        yaml.safe_dump({"stages": [{"kind": s.kind, "iterations": s.iterations} for s in stages]})
    )
    return path


def statuses(out: Path) -> dict[str, str]:
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        return {r["file"]: r["status"] for r in csv.DictReader(file)}


def boundaries(model, utterances, **options):
    found = list(align(utterances, model, AlignOptions(**options), Compute(jobs=1)))
    assert all(isinstance(a, Alignment) for a in found), found
    return [[(p.label, p.start, p.end) for p in a.phones] for a in found]


@pytest.fixture(scope="module", autouse=True)
def grows():
    """So few frames a Gaussian and a leaf that trees and mixtures grow on half a minute; processes for that,
    too.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (
            ("FRAMES_PER_GAUSSIAN", 12),
            ("FRAMES_PER_CONTEXT_GAUSSIAN", 12),
            ("FRAMES_PER_LEAF", 24),
        ):
            patch.setattr(schedule, name, value)
        patch.setattr(schedule, "grow", partial(schedule.grow, least=20.0))
        patch.setattr(spread, "MAX_SERIAL_FRAMES", 0)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory, grows) -> Path:
    """A model of all stages, whose training nothing interrupted, and beside it its folder after every
    iteration.
    """
    base = tmp_path_factory.mktemp("whole")
    rows = []

    def notice(row):
        rows.append(row)
        shutil.copytree(base / "model", base / f"after{len(rows)}")

    train_hmm(SAMPLE, base / "model", TEXT, Options(stages=EVERY, jobs=1), on_iteration=notice)
    assert max(r.pdfs for r in rows) > rows[0].pdfs  # else nothing is tested of trees
    assert max(r.gaussians for r in rows) > max(r.pdfs for r in rows)
    return base / "model"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, grows) -> Path:
    """Phones without context, hardly trained."""
    out = tmp_path_factory.mktemp("tiny") / "model"
    train_hmm(SAMPLE, out, TEXT, Options(stages=TINY, jobs=1))
    return out


def test_from_a_corpus_to_an_alignment(tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    result = run("train", SAMPLE, model, "--config", config(tmp_path), *FLAT, "--out", out, "-j", 2)
    assert result.exit_code == 0, result.output
    assert "learnt    10 utterances, 0.6 minutes" in result.output
    assert "aligned   10" in result.output
    names = {p.name for p in model.iterdir()}
    assert {n for n in names if not n.startswith("hmm-")} == {
        "hmm.json",
        "dictionary.dict",
        "training.csv",
        "training.html",
    }
    assert len(names) == 5
    with (model / "training.csv").open() as file:
        done = [(r["stage"], int(r["iteration"])) for r in csv.DictReader(file)]
    assert done == [("monophone", 1), ("monophone", 2)]
    assert len(statuses(out)) == 10
    assert set(statuses(out).values()) <= {"ok", "suspect"}  # two iterations are no good model
    again = run("align", SAMPLE, tmp_path / "again", "-m", model)
    assert again.exit_code == 0, again.output
    for grid in out.rglob("*.TextGrid"):
        assert grid.read_text() == (tmp_path / "again" / grid.relative_to(out)).read_text()


def test_models_are_listed_described_and_checked(tiny):
    listed = run("models", "list", tiny.parent)
    assert "english" in listed.output
    assert f"{tiny} " in listed.output
    assert "hidden Markov model, en, 41 phones; trained on 0.01 h, 2 speakers" in listed.output
    info = json.loads(run("models", "info", tiny, "--json").output)
    assert info["g2p"] == "english"
    assert info["corpus"]["utterances"] == 10
    assert info["figures"]["monophone"]["unaligned"] == 0
    assert "monophone" in run("models", "info", tiny).output
    result = run("models", "validate", tiny, "english")
    assert (result.exit_code, result.output) == (0, f"{tiny}: it is whole\nenglish: it is whole\n")


def test_a_damaged_model_is_told(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "model")
    [weights] = (tmp_path / "model").glob("hmm-*")
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "damaged: " in run("models", "list", tmp_path).output
    result = run("models", "validate", tmp_path / "model", tiny)
    assert result.exit_code == 1
    assert f"{weights}: its content is not what field 'sha256' of hmm.json says" in result.output
    assert f"{tiny}: it is whole" in result.output
    book = tmp_path / "other" / "dictionary.dict"
    shutil.copytree(tiny, book.parent)
    book.write_text("cat\tK QQ T\n")
    assert f"{book}:1: " in run("models", "validate", book.parent).output
    book.unlink()
    assert "it has no dictionary" in run("models", "validate", book.parent).output


def test_the_same_seed_gives_the_same_model(whole, tmp_path):
    """However many processes there are; and what is returned is what is saved."""
    summary = train_hmm(SAMPLE, tmp_path / "model", TEXT, Options(stages=EVERY, jobs=2))
    assert numbers(tmp_path / "model") == numbers(whole)
    same(summary.model, load_model(tmp_path / "model"))


def test_another_seed_gives_another(whole, tmp_path):
    train_hmm(SAMPLE, tmp_path / "model", TEXT, Options(stages=EVERY, seed=1, jobs=2))
    assert numbers(tmp_path / "model") != numbers(whole)


# the first, within a stage, a stage's last, the next one's first, each kind of stage, and the very last
@pytest.mark.parametrize("done", [1, 6, 7, 11, 14, 16, 17])
def test_what_stopped_goes_on_as_if_it_had_not(whole, tmp_path, done):
    model, rows = tmp_path / "model", []
    shutil.copytree(whole.parent / f"after{done}", model)
    summary = train_hmm(
        SAMPLE, model, TEXT, Options(stages=EVERY, jobs=1, resume=True), on_iteration=rows.append
    )
    assert len(rows) == ITERATIONS - done
    assert numbers(model) == numbers(whole)
    assert (model / "dictionary.dict").read_text() == (whole / "dictionary.dict").read_text()
    assert not (model / ".training").exists()
    assert summary.utterances == 10
    with (model / "training.csv").open() as a, (whole / "training.csv").open() as b:
        for mine, other in zip(csv.DictReader(a), csv.DictReader(b), strict=True):
            assert [mine[c] for c in ("stage", "iteration", "log_likelihood", "gaussians")] == [
                other[c] for c in ("stage", "iteration", "log_likelihood", "gaussians")
            ]


def test_interrupted_again_and_again(whole, tmp_path):
    told = []

    def stop(row):
        told.append(row)
        if len(told) % 5 == 0:
            raise KeyboardInterrupt

    for k in range(ITERATIONS // 5):
        with pytest.raises(KeyboardInterrupt):
            train_hmm(
                SAMPLE,
                tmp_path / "model",
                TEXT,
                Options(stages=EVERY, jobs=1, resume=k > 0),
                on_iteration=stop,
            )
    train_hmm(SAMPLE, tmp_path / "model", TEXT, Options(stages=EVERY, jobs=1, resume=True), on_iteration=stop)
    assert len(told) == ITERATIONS
    assert numbers(tmp_path / "model") == numbers(whole)


def test_full_em_goes_on_too(tmp_path):
    """Its paths are not remembered, and mixtures grow at random from the seed and the iteration."""
    options = Options(
        stages=(
            Stage(kind="monophone", iterations=6, gaussians=300),
            Stage(kind="triphone", iterations=2, gaussians=300, leaves=100),
        ),
        em="full",
        jobs=2,
    )

    def stop(row):
        if (row.stage, row.iteration) == ("triphone", 1):
            shutil.copytree(tmp_path / "one", tmp_path / "two")

    train_hmm(SAMPLE, tmp_path / "one", TEXT, options, on_iteration=stop)
    train_hmm(SAMPLE, tmp_path / "two", TEXT, replace(options, resume=True))
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")


OTHERS = {
    "seed": (SAMPLE, TEXT, Options(stages=EVERY, seed=1, resume=True)),
    "stages": (SAMPLE, TEXT, Options(stages=EVERY[:-1], resume=True)),
    "em": (SAMPLE, TEXT, Options(stages=EVERY, em="full", resume=True)),
    "features": (SAMPLE, TEXT, options_of("quick", None, resume=True)),
    "letters": (SAMPLE, Text(characters=True), Options(stages=EVERY, resume=True)),
}


@pytest.mark.parametrize(("corpus", "text", "options"), OTHERS.values(), ids=OTHERS)
def test_another_training_does_not_go_on(whole, tmp_path, corpus, text, options):
    shutil.copytree(whole.parent / "after3", tmp_path / "model")
    before = {p: p.read_bytes() for p in (tmp_path / "model").rglob("*") if p.is_file()}
    with pytest.raises(
        DataError, match="training of another corpus, or with other options: give the same"
    ) as error:
        train_hmm(corpus, tmp_path / "model", text, options)
    assert str(tmp_path / "model") in str(error.value)
    assert before == {p: p.read_bytes() for p in (tmp_path / "model").rglob("*") if p.is_file()}


def test_another_corpus_does_not_go_on(whole, sample, tmp_path):
    shutil.copytree(whole.parent / "after3", tmp_path / "model")
    (sample / "rms" / "winter.lab").write_text("Winter storms had washed the old bridge into the sea.")
    with pytest.raises(DataError, match="training of another corpus"):
        train_hmm(sample, tmp_path / "model", TEXT, Options(stages=EVERY, resume=True))


def test_a_training_that_stopped_is_not_overwritten(whole, tmp_path):
    shutil.copytree(whole.parent / "after3", tmp_path / "model")
    result = run("train", SAMPLE, tmp_path / "model")
    assert result.exit_code == 2
    assert (
        f"{tmp_path / 'model'}: a training that was not finished is there: go on with --resume"
        in result.output
    )


@pytest.mark.parametrize("name", ["stage", "voices", "weights", "said", "rows", "iteration"])
def test_a_damaged_state_is_told(whole, tmp_path, name):
    shutil.copytree(whole.parent / "after14", tmp_path / "model")
    path = tmp_path / "model" / ".training" / "state.json"
    table = json.loads(path.read_text())
    del table[name]
    path.write_text(json.dumps(table))
    with pytest.raises(ModelError, match=rf"state\.json: .*'{name}'"):
        train_hmm(SAMPLE, tmp_path / "model", TEXT, Options(stages=EVERY, resume=True))


def test_a_model_is_not_overwritten(tiny):
    before = {p.name: p.read_bytes() for p in tiny.iterdir() if p.is_file()}
    for arguments in (
        ("train", SAMPLE, tiny),
        ("train", SAMPLE, tiny, "--resume"),
        ("adapt", SAMPLE, "english", tiny),
        ("train", SAMPLE, tiny, "-b", "neural"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert f"{tiny}: a model is there already: name another folder" in result.output
    assert {p.name: p.read_bytes() for p in tiny.iterdir()} == before  # no folder of a teacher, too


# `aligner` that stands still where it has kept its first checkpoint, until somebody stops it
STANDING_STILL = """
import threading
from aligner.cli import main
from aligner.learn.checkpoint import Checkpoint

save = Checkpoint.save

def still(self, *rest):
    save(self, *rest)
    print("one is kept", flush=True)
    threading.Event().wait()

Checkpoint.save = still
main()
"""


def test_a_polite_kill_leaves_what_can_be_gone_on_with(tmp_path):
    path, model = tmp_path / "config.yaml", tmp_path / "model"
    path.write_text("stages:\n- {kind: monophone, iterations: 20}\n")
    line = [sys.executable, "-c", STANDING_STILL, "train", SAMPLE, model, "--config", path, *FLAT, "-j", "2"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "one is kept\n"
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate()
    assert process.returncode == 130, printed
    assert "train: interrupted; the same command with --resume goes on" in printed
    assert "Traceback" not in printed
    assert not list(model.rglob("*.part"))
    rows = []
    result = train_hmm(
        SAMPLE, model, TEXT, options_of("standard", path, jobs=2, resume=True), on_iteration=rows.append
    )
    assert len(rows) == 19
    assert result.utterances == 10


def full(*_, **__):
    raise OSError(28, "No space left on device")


@pytest.fixture(params=["numbers", "table"])
def full_disk(request, monkeypatch):
    """A disk that gets full while the one or the other is written."""

    def fill():
        if request.param == "numbers":
            monkeypatch.setattr(Path, "write_bytes", full)
        else:
            monkeypatch.setattr(packed, "write_text", full)

    yield fill
    monkeypatch.undo()


def test_a_full_disk_leaves_the_model_that_was_there(tiny, tmp_path, full_disk, monkeypatch):
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    before = {p.name: p.read_bytes() for p in model.iterdir()}
    new = replace(load_model(model), spread=2.0, transform=torch.eye(39, 40))
    full_disk()
    with pytest.raises(ModelError, match=r"cannot be written .No space left on device") as error:
        saved.save(new, model)
    assert str(error.value).startswith(f"{model}: ")
    assert {p.name: p.read_bytes() for p in model.iterdir()} == before
    monkeypatch.undo()
    saved.save(new, model)
    assert load_model(model).spread == 2.0
    assert len(list(model.glob("hmm-*"))) == 1


def test_a_full_disk_leaves_the_last_state(whole, tmp_path, full_disk, monkeypatch):
    model = tmp_path / "model"
    shutil.copytree(whole.parent / "after8", model)
    full_disk()
    with pytest.raises(ModelError, match=r"cannot be written .No space left") as error:
        train_hmm(SAMPLE, model, TEXT, Options(stages=EVERY, jobs=1, resume=True))
    assert str(model) in str(error.value)
    monkeypatch.undo()
    train_hmm(SAMPLE, model, TEXT, Options(stages=EVERY, jobs=1, resume=True))
    assert numbers(model) != b""
    assert not (model / ".training").exists()


@pytest.mark.parametrize("name", ["training.csv", "dictionary.dict", "training.html"])
def test_a_full_disk_is_told_wherever_it_gets_full(tmp_path, monkeypatch, name):
    original = Path.replace

    def replaced(self, target):  # what is written beside gets its name
        return full() if name == Path(target).name else original(self, target)

    path = config(tmp_path)
    monkeypatch.setattr(Path, "replace", replaced)
    result = run("train", SAMPLE, tmp_path / "model", "--config", path, *FLAT)
    assert result.exit_code == 2
    assert "No space left on device" in result.output
    assert str(tmp_path / "model") in result.output


def changed(change):
    """Damage to the table."""

    def make(folder):
        path = folder / "hmm.json"
        table = json.loads(path.read_text())
        change(table)
        path.write_text(json.dumps(table))

    return make


def renumbered(change):
    """Damage to the numbers, of which the table knows nothing but the checksum."""

    def make(folder):
        [path] = folder.glob("hmm-*")
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        changed(lambda t: t.update(sha256=digest))(folder)

    return make


def with_shapes(change):
    def make(folder):
        renumbered(change)(folder)
        [path] = folder.glob("hmm-*")
        changed(lambda t: t.update(shapes={k: list(v.shape) for k, v in load_file(path).items()}))(folder)

    return make


def weights_of(folder) -> Path:
    [path] = folder.glob("hmm-*")
    return path


def flipped(folder):
    data = bytearray(weights_of(folder).read_bytes())
    data[len(data) // 2] ^= 1
    weights_of(folder).write_bytes(bytes(data))


def nan(tensors):
    tensors["mixtures.0.means"][0, 0, 0] = float("nan")


DAMAGE = {
    "truncated": (
        lambda f: weights_of(f).write_bytes(weights_of(f).read_bytes()[:1000]),
        "sha256.*truncated or changed",
    ),
    "empty": (lambda f: weights_of(f).write_bytes(b""), "sha256"),
    "a byte": (flipped, "sha256.*truncated or changed"),
    "no numbers": (
        lambda f: weights_of(f).unlink(),
        "cannot be read .No such file.*'weights' of hmm.json names it",
    ),
    "newer": (
        changed(lambda t: t.update(version=2)),
        "'version' is 2, this aligner reads up to 1: install a newer",
    ),
    "no version": (changed(lambda t: t.pop("version")), "no field 'version'"),
    "no weights": (changed(lambda t: t.pop("weights")), "'weights' names no file"),
    "weights elsewhere": (changed(lambda t: t.update(weights="../x.safetensors")), "'weights' names no file"),
    "another shape": (
        changed(lambda t: t["shapes"].update({"alone": [1, 3]})),
        "'alone' has the shape .*41, 5.*1, 3",
    ),
    "no shapes": (changed(lambda t: t.pop("shapes")), "has the shape"),
    "a tensor less": (renumbered(lambda t: t.pop("alone")), "'alone' has the shape None"),
    "a tensor less, untold": (with_shapes(lambda t: t.pop("alone")), "'alone' is missing"),
    "no means": (with_shapes(lambda t: t.pop("mixtures.0.means")), "'mixtures.0.means' is missing"),
    "fewer mixtures": (
        with_shapes(lambda t: t.update({"mixtures.codebook": t["mixtures.codebook"][:5]})),
        "'mixtures' is wrong .*do not go together",
    ),
    "a variance of 0": (
        with_shapes(lambda t: t["mixtures.0.covariances"].zero_()),
        "variance is not above 0",
    ),
    "NaN": (renumbered(nan), "'mixtures.0.means' holds NaN"),
    "not JSON": (lambda f: (f / "hmm.json").write_text('{"version": 1,'), "hmm.json: it is not JSON"),
    "not UTF-8": (lambda f: (f / "hmm.json").write_bytes(b'{"version\xff": 1}'), "hmm.json: it is not JSON"),
    "no table": (lambda f: (f / "hmm.json").write_text("[1]"), "holds no table"),
    "another kind of front end": (
        changed(lambda t: t["frontend"].update(kind="x")),
        "'frontend' is wrong .*'x'",
    ),
    "a feature unknown": (
        changed(lambda t: t["frontend"]["cepstral"].update(colour=1)),
        "'frontend' is wrong.*colour",
    ),
    "fewer cepstra": (
        changed(lambda t: t["frontend"]["cepstral"].update(ncep=12)),
        "frames of 36 numbers, mixtures of",
    ),
    "phones": (
        changed(lambda t: t["topology"]["phones"].pop()),
        "'topology' is wrong .40 phones, trees of 41",
    ),
    "g2p": (changed(lambda t: t.update(g2p="guess")), "'g2p' is wrong .*'guess' is none of english"),
    **{
        f"no {name}": (changed(lambda t, name=name: t.pop(name)), f"'{name}' is missing")
        for name in ("frontend", "topology", "offsets_ms", "g2p", "spread")
    },
    **{
        f"{name} is {value!r}": (
            changed(lambda t, name=name, value=value: t.update({name: value})),
            f"'{name}' is wrong",
        )
        for name in ("frontend", "topology", "offsets_ms", "g2p", "spread", "language", "about", "name")
        for value in ([], 5, "x")
        if (name, value) not in (("spread", 5), ("language", "x"), ("name", "x"))
    },
}


@pytest.mark.parametrize(("make", "rule"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_model_names_file_and_field(tiny, tmp_path, make, rule):
    model = tmp_path / "model"
    shutil.copytree(tiny, model)
    make(model)
    with pytest.raises(ModelError, match=rule) as error:
        load_model(model)
    assert str(error.value).startswith(f"{model}/hmm")
    assert "\n" not in str(error.value)
    assert ": " in error.value.message


def same(a: MarkovModel, b: MarkovModel, speaker: SpeakerTransform | None = None) -> None:
    """One recording is scored alike to the last bit, as is, alone and for a voice."""
    wave = torch.from_numpy(audio.read(find(SAMPLE).utterances[0], a.clock.rate).wave)
    pdfs = np.unique(np.concatenate([a.topology.alone.ravel(), b.topology.alone.ravel()]))
    for one, other in ((a, b), (a.for_adapted, b.for_adapted)):
        assert torch.equal(one.frames_of_wave(wave, speaker), other.frames_of_wave(wave, speaker))
        assert torch.equal(
            one.score(one.frames_of_wave(wave, speaker), pdfs),
            other.score(other.frames_of_wave(wave, speaker), pdfs),
        )
    assert (a.adapted is None) == (b.adapted is None)
    for name in ("language", "g2p", "spread", "offsets", "clock"):
        assert getattr(a, name) == getattr(b, name)
    assert json.loads(json.dumps(a.about)) == b.about


def test_a_model_of_phones_comes_back(tmp_path, tiny):
    a = load_model(tiny)
    saved.save(a, tmp_path)
    assert boundaries(a, find(SAMPLE).utterances[:2]) == boundaries(
        replace(saved.load(tmp_path), dictionary=a.dictionary), find(SAMPLE).utterances[:2]
    )
    same(a, saved.load(tmp_path))


def test_a_model_of_all_stages_comes_back(whole, tmp_path):
    a = load_model(whole)
    assert a.adapted is not None
    assert a.frontend.transform is not None
    a = replace(
        a,
        transform=torch.cat([1.1 * torch.eye(40), torch.ones(40, 1)], 1),
        offsets={("stop", "vowel"): 0.003},
    )
    saved.save(a, tmp_path)
    same(
        a,
        saved.load(tmp_path),
        SpeakerTransform(transform=torch.cat([0.9 * torch.eye(40), torch.zeros(40, 1)], 1)),
    )
    assert [vars(a.topology.forest)[k].tolist() for k in vars(a.topology.forest)] == [
        v.tolist() for v in vars(saved.load(tmp_path).topology.forest).values()
    ]


@pytest.fixture
def sample(tmp_path) -> Path:
    """The sample, to be changed."""
    shutil.copytree(SAMPLE, tmp_path / "sample")
    return tmp_path / "sample"


@pytest.mark.parametrize(
    ("texts", "rule"),
    [
        (
            lambda f: [p.unlink() for p in f.rglob("*.flac") if p.stem != "kitchen"],
            r"3 s of speech can be learnt from",
        ),
        (lambda f: [p.unlink() for p in f.rglob("*.flac")], "no recording|has no"),
        (lambda f: [p.write_text("") for p in f.rglob("*.lab")], r"0 s of speech .*transcript is empty"),
        (lambda f: [p.write_bytes(b"") for p in f.rglob("*.flac")], r"0 s of speech .*is empty"),
        (lambda f: shutil.rmtree(f), "no such folder"),
    ],
    ids=["little", "no sound", "no words", "broken", "nothing"],
)
def test_too_little_speech(sample, tmp_path, texts, rule):
    texts(sample)
    result = run("train", sample, tmp_path / "model", "--config", config(tmp_path), *FLAT)
    assert result.exit_code == 2
    assert re.search(rule, result.output.replace("\n", " ")), result.output
    assert str(sample) in result.output
    assert not (tmp_path / "model" / "hmm.json").exists()


def test_too_little_for_a_stage(tmp_path, monkeypatch):
    """What there is speech for is trained, and told."""
    short = tuple(replace(s, iterations=2) for s in RECIPES["standard"])
    summary = train_hmm(SAMPLE, tmp_path / "model", TEXT, Options(stages=short, jobs=2))
    assert any(
        n.startswith(
            "with 0.6 minutes of speech the stage 'monophone' is the last that makes sense; "
            "'triphone', 'lda', 'sat' would need 8"
        )
        for n in summary.notes
    )
    assert list(load_model(tmp_path / "model").about["figures"]) == ["monophone", "pronunciations"]
    assert boundaries(load_model(tmp_path / "model"), find(SAMPLE).utterances[:1])


def test_what_does_not_fit_is_left_out_and_told(sample, tmp_path):
    text = (sample / "rms" / "winter.lab").read_text()
    (sample / "rms" / "winter.lab").write_text(text * 12)
    result = run("train", sample, tmp_path / "model", "--config", config(tmp_path), *FLAT)
    assert result.exit_code == 1, result.output
    assert "learnt    9 utterances" in result.output
    assert "left out  1" in result.output
    assert "winter: it is too short for its transcript" in result.output
    with (tmp_path / "model" / "training.csv").open() as file:
        assert {r["unaligned"] for r in csv.DictReader(file)} == {"0.1"}
    assert boundaries(load_model(tmp_path / "model"), find(SAMPLE).utterances[:1])


def test_what_was_left_out_is_told_after_an_interruption_too(sample, tmp_path):
    (sample / "rms" / "winter.lab").write_text((sample / "rms" / "winter.lab").read_text() * 12)
    stopped = []

    def stop(row):
        if row.iteration == row.iterations and not stopped:
            stopped.append(row)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_hmm(sample, tmp_path / "model", TEXT, Options(stages=TINY, jobs=1), on_iteration=stop)
    summary = train_hmm(sample, tmp_path / "model", TEXT, Options(stages=TINY, jobs=1, resume=True))
    assert [f.utterance.id.split("/")[-1] for f in summary.failures] == ["winter"]
    assert summary.utterances == 9


def test_all_that_does_not_fit(sample, tmp_path):
    """Then there is nothing to learn from."""
    for path in sample.rglob("*.lab"):
        path.write_text(path.read_text() * 12)
    result = run("train", sample, tmp_path / "model", "--config", config(tmp_path), *FLAT)
    assert result.exit_code == 2, result.output
    assert "no utterance is long enough for its transcript" in result.output


def test_phones_that_are_never_said(tiny, sample, tmp_path):
    """A dictionary may have them, and a word of such aligns."""
    book = tmp_path / "my.dict"
    book.write_text((tiny / "dictionary.dict").read_text() + "clix\tQX IY QX\n")
    summary = train_hmm(SAMPLE, tmp_path / "model", Text(book), Options(stages=EVERY[:2], jobs=2))
    assert "QX" in summary.phones
    [never] = [n for n in summary.notes if "never said" in n]
    assert "QX" in never
    [rare] = [n for n in summary.notes if n.startswith("said less than 10 times")]
    assert "ZH (1)" in rare
    text = sample / "rms" / "kitchen.lab"
    text.write_text(text.read_text().replace("soup", "clix"))
    found = boundaries(
        load_model(tmp_path / "model"), [u for u in find(sample).utterances if "kitchen" in u.id]
    )
    assert [p for p, _, _ in found[0]].count("QX") == 2


@pytest.fixture(scope="module")
def numbered(tmp_path_factory, tiny) -> Path:
    """A dictionary with phones that are numbers, probabilities, and two lines that are wrong."""
    numbers = {"IY": "2", "AH": "1", "ER": "9", "UW": "0"}
    lines = []
    for line in (tiny / "dictionary.dict").read_text().splitlines()[:200]:
        word, *_, phones = line.split("\t")
        plain = [p.rstrip("012") for p in phones.split()]
        lines.append(f"{word}\t0.9\t{' '.join(numbers.get(p, p) for p in plain)}\n")
    book = tmp_path_factory.mktemp("numbered") / "numbers.dict"
    book.write_text("".join([*lines, "bad\n", "worse\t1.5\tK\n"]))
    return book


def test_phones_that_are_numbers_are_trained_and_aligned(numbered, tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    call = ("train", SAMPLE, model, "--config", config(tmp_path), *FLAT, "-d", numbered, "-o", out)
    result = run(*call, "--strict")
    assert result.exit_code == 2
    assert f"{numbered}:201: 'bad' has no phones" in result.output
    result = run(*call)
    assert "Traceback" not in result.output
    assert "2 lines cannot be used" in result.output
    assert {"0", "1", "2", "9"} <= set(load_model(model).topology.phones)
    aligned = align(find(SAMPLE).utterances, load_model(model), AlignOptions(g2p=False))
    said = {p.label for a in aligned if isinstance(a, Alignment) for p in a.phones}
    assert {"0", "1", "2", "9"} <= said


def test_speakers_of_a_training_have_dictionaries_of_their_own(tiny, tmp_path):
    whole = (tiny / "dictionary.dict").read_text()
    (tmp_path / "all.dict").write_text(whole)
    (tmp_path / "rms.dict").write_text(re.sub(r"(?m)^on\t.*$", "on\tQX N", whole))
    (tmp_path / "more.dict").write_text("clix\tK L IH1 K S\n")
    table = tmp_path / "speakers.yaml"
    table.write_text("default: all.dict\nrms: rms.dict\n")
    text = Text(table, add_words=(tmp_path / "more.dict",))
    summary = train_hmm(SAMPLE, tmp_path / "model", text, Options(stages=TINY, jobs=1))
    assert "QX" in summary.phones
    written = (tmp_path / "model" / "dictionary.dict").read_text()
    assert re.findall(r"(?m)^clix\t.*", written) == ["clix\tK L IH1 K S"]
    assert {line.split("\t")[-1] for line in re.findall(r"(?m)^on\t.*", written)} >= {"QX N"}


def test_an_adapted_model_keeps_the_words_that_were_added(tmp_path):
    words = tmp_path / "words.dict"
    words.write_text("18\tEY1\nharbour\tHH AA1 R B\nbad\n")
    result = run(
        "adapt", SAMPLE, "english", tmp_path / "new", "--add-words", words, "--no-transforms", "--rounds", 0
    )
    assert result.exit_code == 0, result.output
    assert "line 3: 'bad' has no phones" in result.output
    read = run("read", "18 harbour zoo", "-m", tmp_path / "new")
    assert re.findall(r"(?m)^(\S+) .*  (.*)$", read.output)[1:] == [
        ("18", "EY1"),
        ("harbour", "HH AA1 R B"),
        ("zoo", "Z UW1"),
    ]


def test_words_that_nobody_can_pronounce(sample, tmp_path):
    """Without G2P the utterance is left out, and the word is named."""
    (sample / "rms" / "kitchen.lab").write_text("There is a pot of zyxqua on the kitchen table.")
    result = run("train", sample, tmp_path / "model", "--config", config(tmp_path), *FLAT, "--no-g2p")
    assert result.exit_code == 1, result.output
    assert "zyxqua" in result.output
    assert "left out" in result.output
    assert json.loads((tmp_path / "model" / "hmm.json").read_text())["g2p"] == "none"
    assert "zyxqua" in run("align", sample, tmp_path / "out", "-m", tmp_path / "model").output


CONFIGS = {
    "unknown key": ("colour: red\n", "'colour' is not understood: the keys are stages, em and features"),
    "keys of two kinds": ("1: red\na: b\n", "is not understood"),
    "a list": ("- a\n", "is not understood"),
    "not YAML": ("stages: [\nem: {", "it is not YAML"),
    "unknown stage": ("stages: [{kind: quadphone, iterations: 2}]", "'quadphone'"),
    "unknown field": ("stages: [{kind: monophone, iterations: 2, colour: 1}]", "'colour'"),
    "no iterations": ("stages: [{kind: monophone}]", "'iterations'"),
    "none": ("stages: [{kind: monophone, iterations: 0}]", "at least one iteration"),
    "a word for a number": ("stages: [{kind: monophone, iterations: many}]", "iterations.*'many'"),
    "half an iteration": ("stages: [{kind: monophone, iterations: 2.5}]", "iterations.*2.5"),
    "no stages": ("stages: []", "stages.*the first is not monophone"),
    "stages of nothing": ("stages:\n", "stages"),
    "not monophone first": (
        "stages: [{kind: triphone, iterations: 2}]",
        "stages.*the first is not monophone",
    ),
    "em": ("em: best\n", "em.*'best'"),
    "unknown feature": ("features: {colour: 1}", "'colour'"),
    "a feature of words": ("features: {ncep: many}", "ncep.*'many'"),
    "features of nothing": ("features: 5", "features"),
}


@pytest.mark.parametrize(("text", "rule"), CONFIGS.values(), ids=CONFIGS)
def test_a_bad_config_names_file_and_key(tmp_path, text, rule):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=rule) as error:
        options_of("standard", path)
    assert str(error.value).startswith(str(path))


def test_what_a_config_says(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("stages: [{kind: monophone, iterations: 2, most: 9}]\nem: full\nfeatures: {nfilt: 30}\n")
    options = options_of("standard", path)
    assert options.stages == (Stage(kind="monophone", iterations=2, most=9),)
    assert (options.em, options.frontend.cepstral.nfilt) == ("full", 30)
    assert options_of("standard", path, em="viterbi").em == "viterbi"  # who asks on the command line means it


ITALIAN = [
    "il gatto nero dorme sulla sedia vicino alla finestra",
    "domani mattina andiamo al mercato con la nonna",
    "la ragazza legge un libro molto interessante",
    "il treno per milano parte alle sette di sera",
    "mio fratello mangia sempre il pane con il burro",
    "quando piove i bambini giocano dentro la casa",
    "la strada porta fino alla montagna e poi al mare",
    "il professore parla piano e scrive sulla lavagna",
    "questa estate voglio imparare a nuotare bene",
    "la luna piena illumina il campo di grano",
]


@pytest.fixture(scope="module")
def italian(tmp_path_factory) -> Path:
    """Sentences that eSpeak says, of two speakers."""
    from aligner.reference.espeak import Synthesiser

    folder = tmp_path_factory.mktemp("italian")
    for k, text in enumerate(ITALIAN):
        speech = Synthesiser(language="it", speed=140, pitch=40 + 10 * (k % 2))(text.split())
        speaker = folder / "ab"[k % 2]
        speaker.mkdir(exist_ok=True)
        soundfile.write(speaker / f"s{k}.wav", speech.wave, 16000)
        (speaker / f"s{k}.lab").write_text(text)
    return folder


@needs_espeak
def test_a_language_that_has_no_dictionary(italian, tmp_path):
    model = tmp_path / "model"
    result = run(
        "train",
        italian,
        model,
        "--language",
        "it",
        "--config",
        config(tmp_path, [Stage(kind="monophone", iterations=6)]),
    )
    assert result.exit_code == 0, result.output
    table = json.loads((model / "hmm.json").read_text())
    assert (table["language"], table["g2p"]) == ("it", "espeak")
    phones = set(table["topology"]["phones"])
    assert {"ɾ", "ʎ", "tʃ"} & phones
    assert not {"AH", "IY"} & phones
    new = tmp_path / "new"
    shutil.copytree(italian, new)
    (new / "a" / "s0.lab").write_text(ITALIAN[0].replace("gatto", "fiammifero"))
    result = run("align", new, tmp_path / "out", "-m", model)
    assert result.exit_code == 0, result.output
    assert "fiammifero" in (tmp_path / "out" / "oovs.csv").read_text()
    assert "english" not in result.output
    assert set(statuses(tmp_path / "out")) == {f"{'ab'[k % 2]}/s{k}" for k in range(len(ITALIAN))}
    assert "failed" not in statuses(tmp_path / "out").values()
    assert run("models", "validate", model).exit_code == 0
    assert "hidden Markov model, it, " in run("models", "list", tmp_path).output


@needs_espeak
def test_letters_for_phones(italian, tmp_path):
    model = tmp_path / "model"
    result = run("train", italian, model, "-l", "it", "--characters", "--config", config(tmp_path), *FLAT)
    assert result.exit_code == 0, result.output
    table = json.loads((model / "hmm.json").read_text())
    assert (table["language"], table["g2p"]) == ("it", "letters")
    assert set("abcdefgilmnopqrstuvz") <= set(table["topology"]["phones"])
    assert not (model / "dictionary.dict").exists()
    result = run("align", italian, tmp_path / "out", "-m", model)
    assert result.exit_code == 0, result.output
    grid = (tmp_path / "out" / "a" / "s0.TextGrid").read_text()
    assert '"gatto"' in grid
    assert '"g"' in grid
    assert run("models", "validate", model).exit_code == 0


@needs_espeak
def test_no_such_language(tmp_path):
    result = run("train", SAMPLE, tmp_path / "model", "-l", "xx")
    assert result.exit_code == 2
    assert "xx" in result.output


@pytest.fixture
def little(sample) -> Path:
    """Two utterances of either speaker."""
    for path in [p for folder in sample.iterdir() for p in sorted(folder.iterdir())[6:]]:
        path.unlink()
    return sample


def test_adapting_the_english_model(little, tmp_path):
    new = tmp_path / "new"
    result = run("adapt", little, "english", new)
    assert result.exit_code == 0, result.output
    assert "learnt    4 utterances" in result.output
    adapted = load_model(new)
    assert adapted.about["adapted"]["from"] == "english"
    english = load_model()
    moved = [
        not torch.equal(a.means, b.means)
        for a, b in zip(adapted.mixtures.streams, english.mixtures.streams, strict=True)
    ]
    assert all(moved)
    assert run("align", little, tmp_path / "out", "-m", new).exit_code == 0
    assert list(statuses(tmp_path / "out").values()) == ["ok"] * 4
    saved.save(adapted, tmp_path / "copy")
    same(adapted, saved.load(tmp_path / "copy"))
    assert run("models", "validate", new).exit_code == 0


def test_adapting_a_model_that_was_trained(whole, little, tmp_path):
    result = run("adapt", little, whole, tmp_path / "new")
    assert result.exit_code == 0, result.output
    adapted = load_model(tmp_path / "new")
    assert adapted.about["adapted"]["from"] == "model"
    assert boundaries(adapted, find(little).utterances[:2])


def test_adapting_nothing_changes_nothing(little, tmp_path, model):
    result = run("adapt", little, "english", tmp_path / "new", "--no-transforms", "--rounds", 0)
    assert result.exit_code == 0, result.output
    utterances = find(little).utterances
    assert boundaries(load_model(tmp_path / "new"), utterances) == boundaries(model, utterances)


def test_what_cannot_be_adapted(sample, tmp_path):
    result = run("adapt", SAMPLE, "hama", tmp_path / "new")
    assert result.exit_code == 2
    assert "hama: it is a CTC network, and only hidden Markov models can be adapted" in result.output
    assert not (tmp_path / "new").exists()
    for path in sample.rglob("*.lab"):
        path.write_text("")
    result = run("adapt", sample, "english", tmp_path / "new")
    assert result.exit_code == 2
    assert f"{sample}: nothing can be learnt from" in result.output


def test_a_voice_like_those_the_model_knows_is_left_alone(model, monkeypatch):
    """A transform that gains less than the limit is none; beyond it there is one."""
    from aligner.backends import speakers as voices
    from aligner.backends.hmm import HmmBackend
    from aligner.train.em import ShardTask
    from aligner.train.transforms import added_by_speaker, fmllr_gain, speaker_sums

    utterances = find(SAMPLE).utterances
    backend = chosen(model, AlignOptions(adapt=True), Compute(jobs=2))
    assert isinstance(backend, HmmBackend)
    examples, _ = adapting._examples(utterances, backend)
    for speaker, s in added_by_speaker(
        [speaker_sums(ShardTask(model=model, examples=examples, voices={}))]
    ).items():
        transform = transform_for(model, s, 0.0)
        won = fmllr_gain(s, transform)
        assert won > voices.LEAST_GAIN, speaker
        assert transform_for(model, s, won + 1e-6) is None
        assert torch.equal(transform_for(model, s, won - 1e-6), transform)
    assert all(v.transform is not None for v in backend.speaker_pass()(utterances).voices.values())
    monkeypatch.setattr(voices, "LEAST_GAIN", 10.0)
    assert all(v.transform is None for v in backend.speaker_pass()(utterances).voices.values())
    assert boundaries(model, utterances, adapt=True) == boundaries(model, utterances, adapt=False)


def test_two_transforms_as_one():
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randn(5, 6, generator=generator) for _ in range(2))
    frames = torch.randn(7, 5, generator=generator)
    torch.testing.assert_close(
        affine(frames, adapting.composed(second, first)),
        affine(affine(frames, first), second),
        rtol=1e-4,
        atol=1e-4,
    )


def test_a_network_learns_from_a_model(tiny, little, tmp_path):
    model = tmp_path / "model"
    result = run("train", little, model, "-b", "neural", "--teacher", tiny, "--epochs", 1)
    assert result.exit_code == 0, result.output
    network = load_model(model)
    assert "a network scores" in described(network)["what"]
    saved.save(network, tmp_path / "copy")
    same(network, saved.load(tmp_path / "copy"))
    result = run("align", little, tmp_path / "out", "-m", model)
    assert len(statuses(tmp_path / "out")) == 4
    assert "failed" not in statuses(tmp_path / "out").values()
    assert checked(str(model)).name == "model"
    result = run("adapt", little, model, tmp_path / "new")
    assert result.exit_code == 2
    assert "has no Gaussian mixtures" in result.output
    assert (
        run("train", little, tmp_path / "third", "-b", "neural", "--teacher", model, "--epochs", 1).exit_code
        == 2
    )


def test_a_head_learns_from_a_model_and_stands_beside_it(tiny, little, tmp_path, monkeypatch):
    monkeypatch.setattr(train_head, "LEAST_STEPS", 60)
    model = tmp_path / "model"
    call = ("train", little, model, "-b", "neural", "--encoder", "hama", "--teacher", tiny, "--copies", 1)
    result = run(*call, "--epochs", 1, "--jobs", 1)
    # so small a teacher finds something suspicious, which is told and left out
    assert result.exit_code == ("it was not learnt from, for" in result.output), result.output
    assert "of frames right" in result.output
    taught, teacher = load_model(model), load_model(tiny)
    assert taught.head is not None
    assert taught.head.phones == ("SIL", *(p for p in teacher.topology.phones if teacher.topology.knows(p)))
    wave = torch.from_numpy(audio.read(find(little).utterances[0], 16000).wave)
    scores = taught.head.scores(wave)
    assert len(set(scores.argmax(1).tolist())) > 5  # it tells phones apart
    utterances = find(little).utterances
    with_it, without = (
        [r.phones for r in align(utterances, m)] for m in (taught, replace(taught, head=None))
    )
    assert with_it != without
    table = json.loads((model / "hmm.json").read_text())
    lost = table["head"]["phones"][-1]
    table["head"]["phones"][-1] = "QQ"
    (model / "hmm.json").write_text(json.dumps(table))
    with pytest.raises(ModelError, match=f"does not know the phone '{lost}'"):
        load_model(model)


def test_an_encoder_is_for_networks_and_must_be_there(tiny, little, tmp_path):
    model = tmp_path / "model"
    result = run("train", little, model, "--encoder", "hama")
    assert result.exit_code == 2
    assert "--encoder: only a network can hear through one: add --backend neural" in result.output
    result = run("train", little, model, "-b", "neural", "--encoder", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "nowhere" in result.output
    assert not model.exists()  # no teacher was trained


def test_the_teacher_comes_first(tmp_path):
    model = tmp_path / "model"
    result = run("train", SAMPLE, model, "-b", "neural", "--epochs", 1, "--config", config(tmp_path), *FLAT)
    assert result.exit_code == 0, result.output
    assert (model / "teacher" / "hmm.json").is_file()
    assert (model / "hmm.json").is_file()


def test_wrong_teachers(tiny, tmp_path):
    for teacher, rule in (
        ("english", "teach"),
        (tmp_path, "no model in this folder"),
        (tmp_path / "x", "no such folder"),
    ):
        result = run("train", SAMPLE, tmp_path / "model", "-b", "neural", "--teacher", teacher, "--epochs", 1)
        assert result.exit_code == 2
        assert "train: " in result.output
        assert rule in result.output
    result = run(
        "train", SAMPLE, tmp_path / "model", "-b", "neural", "--teacher", tiny, "--epochs", 1, "--characters"
    )
    assert result.exit_code == 2
    assert "it cannot teach" in result.output


def test_a_teacher_that_lacks_phones(tiny, tmp_path):
    book = tmp_path / "my.dict"
    lines = (tiny / "dictionary.dict").read_text()
    book.write_text(lines.replace("K IH1 CH AH0 N", "K QX CH AH0 N"))
    assert "QX" in book.read_text()
    result = run(
        "train", SAMPLE, tmp_path / "model", "-b", "neural", "--teacher", tiny, "--epochs", 1, "-d", book
    )
    assert result.exit_code in (1, 2), result.output
    assert "QX" in result.output


def test_an_utterance_is_heard_with_its_speaker(whole):
    """Its moments and transform are of all that the speaker says; in whatever order, with whomever else."""
    utterances = find(SAMPLE).utterances
    trained = load_model(whole)
    assert isinstance(trained.frontend, CepstralFrontend)
    together = dict(zip([u.id for u in utterances], boundaries(trained, utterances), strict=True))
    for speaker in {u.speaker for u in utterances}:
        own = [u for u in utterances if u.speaker == speaker]
        assert boundaries(trained, own) == [together[u.id] for u in own]
    backend = chosen(trained, compute=Compute(jobs=1))
    one, other = (backend.speaker_pass()(us).voices for us in (utterances, utterances[::-1]))
    for speaker in one:
        torch.testing.assert_close(
            one[speaker].cepstra.mean, other[speaker].cepstra.mean, rtol=1e-6, atol=1e-6
        )
        torch.testing.assert_close(one[speaker].transform, other[speaker].transform, rtol=1e-3, atol=1e-3)


def test_threads_do_not_change_what_is_heard(whole):
    trained, utterances = load_model(whole), find(SAMPLE).utterances
    one, two = (
        [
            [(p.label, p.start) for p in a.phones]
            for a in align(utterances, trained, compute=Compute(jobs=jobs))
        ]
        for jobs in (1, 2)
    )
    assert one == two
