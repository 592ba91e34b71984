"""Wrong calls: one line that says what is wrong and what to do, before torch is imported; and one recording
alone.
"""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.places import ROOT, SAMPLE
from support.processes import BOUND

from aligner import names
from aligner.backends.options import Compute, check_device
from aligner.cli import align, main
from aligner.formats.textgrid import read_textgrid, write_textgrid
from aligner.models.known import check_known, kind_of
from aligner.types import DataError, Interval, ModelError

HEAVY = ("torch", "numba", "librosa")
KITCHEN = "There is a pot of soup on the kitchen table."

# A call, and what its one line holds. The folder that they are made in is that of `place`.
WRONG = {
    "align nowhere out": "nowhere: there is no such folder or recording: name",
    "align nowhere.wav out": "nowhere.wav: there is no such folder or recording: name",
    "align rec/one out": "rec/one: there is no such folder or recording: did you mean one.wav?",
    "align rec/one.lab out": "rec/one.lab: it is a transcript, not a recording: name its recording: "
    "rec/one.wav",
    "align rec/lost.txt out": "rec/lost.txt: it is a transcript, not a recording: put lost.wav beside it",
    "align rec/grid.TextGrid out": "rec/grid.TextGrid: it is a transcript, not a recording: put "
    "grid.wav beside it",
    "align 'rec/a b.raw' out": "of the kind .raw cannot be read: say what its samples are: ffmpeg -f s16le "
    "-ar 16000 -ac 1 -i 'a b.raw' 'a b.wav'",
    "align rec/transcripts.tsv out": "it is a table of transcripts, not a recording: name the folder",
    "align my.dict out": "my.dict: it is no recording: recordings end in .wav",
    "align rec/mute.wav out": "the recording has no transcript: put mute.lab, .txt or .TextGrid beside "
    "it, or say what "
    "is said (--text)",
    "align rec/aligned.wav out": "holds an alignment (a tier of phones, 'phones'), not a transcript: "
    "keep a tier per speaker",
    "align rec/row.wav out": "transcripts.tsv:2: a column is missing: write file, tab, text",
    "align rec/one.wav rec": "rec: one.TextGrid would lie beside its recording, where the next run "
    "takes it for the "
    "transcript: name another folder",
    "align rec/one.wav my.dict": "my.dict: nothing can be written to the output folder (Not a "
    "directory): name another",
    "align rec/one.wav out --text ''": "--text: it is empty: write what is said",
    "align rec/one.wav out --text '... !'": "--text: it holds only punctuation: write what is said",
    "align rec out --text hello": "--text: it tells what is said in one recording, and rec is a folder: "
    "name the",
    "align rec/one.wav out -r rec/sub": "rec/sub: there are no labels of one in this folder: name the folder",
    "align rec/one.wav old": "old: it holds the alignments of /elsewhere, where another recording may "
    "have the same",
    "align empty out": "empty: there is no recording in this folder: recordings end in .wav",
    "align rec rec/out": "rec/out: the output folder lies in the corpus rec, where its TextGrids would "
    "be taken for",
    "align rec my.dict/out": "my.dict/out: nothing can be written to the output folder (Not a directory)",
    "align rec out -d nowhere": "nowhere: it cannot be read (No such file or directory): check its "
    "place and rights",
    "align rec out -m nowhere": "nowhere: there is no model of this name and no such folder: use "
    "'english', 'english-whisper', 'english-gmm', 'hama'",
    "align rec out -m my.dict": "my.dict: it is a file, and no folder: use 'english', "
    "'english-whisper', 'english-gmm', 'hama', a model's folder",
    "align rec out -m rec": "rec: there is no model in this folder: a model that was trained here has a "
    "file hmm.json",
    "align rec out --posteriors nowhere": "nowhere: there is no model of this name",
    "align rec out -b ctc -m english": "english: it is a hidden Markov model, not a CTC network: take "
    "--backend hmm",
    "align rec out -b hmm -m hama": "hama: it is a CTC network, not a hidden Markov model: take "
    "--backend ctc",
    "align rec out -b hmm -l sw": "english: it is of English, not of 'sw': take --backend dtw, or name "
    "a --model",
    "align rec out -b median -m english -l sw": "hama: it is of English, not of 'sw': take --backend dtw",
    "align rec out -b dtw -l sw -d my.dict": "my.dict: eSpeak pronounces this language without a "
    "dictionary: leave out --dictionary and --add-words, and write what it says wrongly as this",
    "align rec out -b dtw --device cuda": "device: the backend 'dtw' runs on the CPU: leave out --device",
    "align rec out --device gpu": "device: there is no 'gpu': take cpu, cuda, or cuda:1 for the second",
    "align rec out --kernel triton": "kernel: the triton kernel runs on CUDA; on the CPU only with "
    "TRITON_INTERPRET=1",
    "align rec out --kernel numba --device cuda": "kernel: the numba kernel runs on the CPU, the scores "
    "are on cuda:",
    "align rec out -b dtw -m english -l sw": "english: it is of English, not of 'sw': take --backend dtw",
    f"align {'a' * 300} out": "it cannot be read (File name too long): check its place and rights",
    f"align rec out -m {'a' * 300}": "there is no model of this name and no such folder",
    f"align rec {'a' * 300}": "nothing can be written to the output folder (File name too long): name "
    "another",
    f"align rec/one.wav {'a' * 300}": "nothing can be written to the output folder (File name too "
    "long): name another",
    f"align rec out -r {'a' * 300}": "it cannot be read (File name too long)",
    "align rec out -r nowhere": "nowhere: there is no such folder: name the folder of .phn files",
    "align rec out --corrections nowhere": "nowhere: there is no such folder: name the folder of .phn files",
    "align rec out --corrections rec --refine none": "corrections: --refine none would not use what is "
    "learnt",
    "align rec": "OUT: it is missing: call: align CORPUS|FILE OUT",
    "align": "CORPUS|FILE: it is missing: call: align CORPUS|FILE OUT",
    "align rec out --existing perhaps": "--existing: 'perhaps' is not one of 'skip', 'overwrite', "
    "'error': take one",
    "align rec out --jobs 0": "--jobs: 0 is not in the range x>=1: align --help tells what it takes",
    "align rec out --jobs": "--jobs: it requires an argument: align --help tells what it takes",
    "align rec out --fromat json": "--fromat: there is no such option: did you mean --format",
    "align rec out --zzz": "--zzz: there is no such option: align --help lists them",
    "align a b c d e": "got unexpected extra arguments (c d e): call: align CORPUS|FILE OUT",
    "align rec/one.wav rec/mute.wav out": "2 recordings are named: name one, or the folder that holds "
    "them: rec\n",
    "align rec/one.wav rec/mute.wav rec/row.wav rec/aligned.wav out": "4 recordings are named: name "
    "one, or the folder",
    # as the Montreal Forced Aligner has it
    "align 'my rec' english_us_arpa english_us_arpa out": "here it is: align 'my rec' out (left out: "
    "english_us_arpa",
    "align rec german_mfa german_mfa out": "german_mfa is the Montreal Forced Aligner's and is not read, and "
    "what is inside is of English: call: align rec out --language CODE, or train",
    "align rec my.dict german.zip out": "german.zip is the Montreal Forced Aligner's and is not read",
    "aligner train rec german_mfa new": "call: aligner train rec MODEL --dictionary FILE\n",
    "align rec my.dict english out": "here it is: align rec out --dictionary my.dict --model english\n",
    "align rec my.dict english.zip out": "here it is: align rec out --dictionary my.dict (left out: "
    "english.zip, for",
    "align rec my.dict out": "here it is: align rec out --dictionary my.dict\n",
    "align rec out --clean": "here it is: align rec out (left out: --clean, for nothing is kept between "
    "runs)",
    "align rec out --single_speaker": "(left out: --single_speaker, for the folder that holds a "
    "recording is its",
    "align rec out --num_jobs 3": "here it is: align rec out --jobs 3\n",
    "align rec out --num-jobs=3": "here it is: align rec out --jobs 3\n",
    "align rec out --output_format json": "here it is: align rec out --format json\n",
    "align rec out --output_format long_textgrid": "(left out: --output_format, for TextGrids are "
    "always written)",
    "align --config_path c.yaml rec out": "here it is: align rec out (left out: --config_path, for "
    "options are the",
    "align rec out -t tmp -j 2 --overwrite": "here it is: align rec out -j 2 --existing overwrite (left "
    "out: -t, for",
    "align rec --clean": "the Montreal Forced Aligner's options are not ours: leave out --clean",
    "aligner align rec my.dict english out --beam 10": "here it is: aligner align rec out --dictionary "
    "my.dict --model "
    "english (left out: --beam, for the search has no beam)",
    "aligner train rec my.dict new": "here it is: aligner train rec new --dictionary my.dict\n",
    "aligner adapt rec my.dict english new": "here it is: aligner adapt rec english new --dictionary "
    "my.dict\n",
    "aligner validate rec my.dict": "here it is: aligner validate rec --dictionary my.dict\n",
    "aligner align_one a.wav a.txt d m out": "align_one: there is no such command: call: align FILE "
    "OUT, with --text",
    "aligner model download acoustic x": "model: there is no such command: call: aligner models list",
    # the other commands
    "aligner algn rec out": "algn: there is no such command: did you mean aligner align?",
    "aligner rec out": "rec: there is no such command: call: aligner align rec out",
    "aligner zzz": "zzz: there is no such command: aligner --help lists them",
    "aligner --zzz": "--zzz: there is no such option: aligner --help lists them",
    "aligner train nowhere new": "nowhere: there is no such folder: name the folder of recordings and "
    "transcripts",
    "aligner train rec/one.wav new": "rec/one.wav: it is a file, not a folder: name the folder of recordings",
    "aligner train empty new": "empty: there is no recording in this folder",
    "aligner train rec new --device gpu": "device: there is no 'gpu'",
    "aligner train rec new -d nowhere": "nowhere: it cannot be read",
    "aligner train rec new -d my.dict --characters": "dictionary: characters need none: leave out "
    "--dictionary",
    "aligner train rec new --config nowhere": "nowhere: it cannot be read",
    "aligner train rec new -b neural --teacher nowhere": "nowhere: there is no model of this name",
    "aligner train rec new -b ctc -l sw": "rec: the dictionary inside is of English: name one "
    "(--dictionary), or take",
    "aligner train rec model": "model: a model is there already: name another folder",
    "aligner train rec new --out rec/out": "rec/out: the output folder lies in the corpus rec",
    "aligner train rec my.dict/new": "my.dict/new: nothing can be written to the output folder",
    "aligner adapt nowhere english new": "nowhere: there is no such folder: name the folder of recordings",
    "aligner adapt rec nowhere new": "nowhere: there is no model of this name",
    "aligner adapt rec hama new": "hama: it is a CTC network, and only hidden Markov models can be adapted",
    "aligner adapt rec english model": "model: a model is there already: name another folder",
    "aligner teach nowhere english new": "nowhere: there is no such folder: name the folder of .phn files",
    "aligner teach rec nowhere new": "nowhere: there is no model of this name",
    "aligner teach rec english model": "model: a model is there already: name another folder",
    "aligner teach rec english new --corpus nowhere": "nowhere: there is no such folder: name the "
    "folder of the rec",
    "aligner evaluate nowhere rec": "nowhere: there is no such folder: name the folder of .phn files",
    "aligner evaluate rec rec --map nowhere": "nowhere: it cannot be read",
    "aligner compare rec rec --map nowhere": "nowhere: it cannot be read",
    "aligner evaluate rec nowhere": "nowhere: there is no such folder: name the folder of the alignments",
    "aligner compare nowhere rec": "nowhere: there is no such folder: name the folder of .phn files",
    "aligner compare rec nowhere": "nowhere: there is no such folder: name the folder of the alignments",
    "aligner compare rec rec -r nowhere": "nowhere: there is no such folder: name the folder of .phn files",
    "aligner speech-metrics nowhere rec": "nowhere: there is no such folder: name a folder of recordings",
    "aligner speech-metrics rec nowhere": "nowhere: there is no such folder: name a folder of recordings",
    "aligner speech-metrics rec rec -a rec nowhere": "nowhere: there is no such folder: name the folder "
    "of .phn files",
    "aligner validate nowhere": "nowhere: there is no such folder or recording: name",
    "aligner validate rec/one.lab": "it is a transcript, not a recording: name its recording: rec/one.wav",
    "aligner validate rec -d nowhere": "nowhere: it cannot be read",
    "aligner validate rec -d my.dict --characters": "dictionary: characters need none",
    "aligner validate rec --csv my.dict": "my.dict: it exists, and is no table of this command: name "
    "another file",
    "aligner report nowhere": "nowhere: there is no alignment.csv in it: name the output folder of 'align'",
    "aligner inspect nowhere": "nowhere: there is no alignment.csv in it: name the output folder of 'align'",
    "aligner transfer a.wav b.phn c.wav": "a.wav: there is no such file: name a recording, its labels",
    "aligner transfer rec/one.wav rec/one.lab c.wav": "c.wav: there is no such file: name a recording, "
    "its labels",
    "aligner transfer rec nowhere out": "nowhere: there is no such folder: name a folder of recordings",
    "aligner transfer rec rec rec/out": "rec/out: the output folder lies in the corpus rec",
    "aligner transfer rec rec out --posteriors nowhere": "nowhere: there is no model of this name",
    "aligner stream hello": "name a FILE, - for the standard input, or --mic: one of them",
    "aligner stream hello nowhere.wav": "nowhere.wav: the recording is not there: check its name and place",
    "aligner stream nowhere.txt rec/one.wav": "nowhere.txt: the text is not there: check its name and place",
    "aligner stream hello rec/one.wav -m nowhere": "nowhere: there is no model of this name",
    "aligner stream hello rec/one.wav --textgrid my.dict": "my.dict: it exists: name another file, or "
    "take --overwrite",
    "aligner read nowhere.txt": "nowhere.txt: the text is not there: check its name and place",
    "aligner read ' '": "text: it is empty: write what is to be read",
    "aligner read hello -m nowhere": "nowhere: there is no model of this name",
    "aligner read hello -d nowhere": "nowhere: it cannot be read",
    "aligner read hello --csv my.dict": "my.dict: it exists, and is no table of this command: name",
    "aligner models info nowhere": "nowhere: there is no model of this name",
    "aligner models list nowhere": "nowhere: there is no such folder: name the one that holds models",
    "aligner models zzz": "zzz: there is no such command: aligner models --help lists them",
    "aligner bench nowhere": "nowhere: there is no such folder",
    "aligner bench --device gpu": "device: there is no 'gpu'",
    "aligner bench --only backends": "backends are measured on speech: name a CORPUS",
    "aligner profile nowhere": "nowhere: there is no such folder",
    "aligner profile rec rec": "rec: something is there already: name a new folder, or none",
    "aligner doctor please": "got unexpected extra argument (please): call: aligner doctor",
}
HELP = ("align --help", "aligner --help", "aligner", *(f"aligner {name} --help" for name in main.commands))
ESPEAK = ("align rec out -l zz", "aligner train rec new -l zz")  # what needs its list of languages


def write_place(folder: Path) -> None:
    """Files that a wrong call can be about."""
    for name in ("rec/sub", "my rec", "empty", "model", "old"):
        (folder / name).mkdir(parents=True)
    rec = folder / "rec"
    for name in ("one", "mute", "aligned", "row", "sub/two"):
        (rec / f"{name}.wav").write_bytes(b"RIFF")
    for name in ("one.lab", "lost.txt", "a b.raw"):
        (rec / name).write_text("0 1 hello")
    (rec / "sub" / "two.phn").write_text("0 100 h#\n")
    (rec / "sub" / "two.lab").write_text("hello")
    write_textgrid(rec / "grid.TextGrid", {"bob": [Interval(0, 1, "hello")]}, 1.0)
    write_textgrid(
        rec / "aligned.TextGrid", {"words": [Interval(0, 1, "a")], "phones": [Interval(0, 1, "K")]}, 1.0
    )
    (rec / "transcripts.tsv").write_text("file\ttext\nrow.wav\n")
    (folder / "my.dict").write_text("a\tAH\n")
    (folder / "model" / "hmm.json").write_text("{}")
    (folder / "old" / "run.json").write_text(json.dumps({"corpus": "/elsewhere"}))
    (folder / "old" / "alignment.csv").write_text("file,status\none,ok\n")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    write_place(tmp_path)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(call: str):
    program, *arguments = shlex.split(call)
    return CliRunner().invoke({"align": align, "aligner": main}[program], arguments, prog_name=program)


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_one_line_that_says_what_to_do(place, call):
    before = sorted(place.rglob("*"))
    result = called(call)
    assert result.exit_code == 2, result.output
    assert WRONG[call] in result.output
    assert result.output.count("\n") == 1
    assert re.match(r"[a-z-]+: ", result.output)
    assert sorted(place.rglob("*")) == before


def test_python_runs_the_program_where_its_script_is_not_on_the_path():
    done = subprocess.run([sys.executable, "-m", "aligner", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (0, "aligner,")


def test_no_wrong_call_imports_anything_heavy(tmp_path):
    """Nor does help. All in one process, so that what is imported is seen at the first call that does it."""
    write_place(tmp_path)
    code = f"""
import shlex, sys
from click.testing import CliRunner
from aligner.cli import align, main
for call in {[*HELP, *WRONG]!r}:
    program, *arguments = shlex.split(call)
    result = CliRunner().invoke(dict(align=align, aligner=main)[program], arguments, prog_name=program)
    heavy = [m for m in {HEAVY!r} if m in sys.modules]
    if heavy or (result.exit_code != 2 and call not in {HELP!r}):
        sys.exit(f"{{call}}: {{heavy}} {{result.output}}")
"""
    here = {**os.environ, "PYTHONPATH": str(ROOT), "TRITON_INTERPRET": "0"}  # the tree that is tested
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=here, capture_output=True, text=True
    )
    assert not done.stderr
    assert done.returncode == 0


@pytest.mark.parametrize("call", ESPEAK)
def test_an_unknown_language_is_told_at_once(place, call):
    pytest.importorskip("espeakng_loader")
    result = called(call)
    assert result.exit_code == 2
    assert "zz: eSpeak does not speak this language: " in result.output
    assert "aligner languages lists all" in result.output


def test_where_nothing_may_be_written(place):
    place.chmod(0o500)
    call = ["-c", "from aligner.cli import align; align()", "rec/one.wav", "out"]
    done = subprocess.run([sys.executable, "-c", BOUND, *call], cwd=place, capture_output=True, text=True)
    place.chmod(0o700)
    assert done.returncode == 2
    assert "nothing can be written" in done.stderr


def test_planning_imports_nothing_heavy():
    imports = "import sys, aligner.run.plan, aligner.backends.calls"
    code = f"{imports}; print([m for m in {HEAVY} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == "[]"


def test_the_words_of_options_are_those_of_the_work():
    from aligner.bench.family import MODELS
    from aligner.cli.actions.training import TRAINERS
    from aligner.formats.registry import FORMATS
    from aligner.train.stages import RECIPES

    assert tuple(RECIPES) == names.RECIPES
    assert tuple(MODELS) == names.FAMILY
    assert set(TRAINERS) == set(names.TRAINED)
    assert set(names.FORMATS) == {f.name for f in FORMATS.values() if f.write and f.offered}


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_names_of_devices(device):
    check_device(device)
    for wrong in ("", device.upper(), f"{device}:x", f" {device}"):
        with pytest.raises(DataError, match="there is no"):
            check_device(wrong)


def test_options_are_made_without_torch():
    code = "import sys, aligner; aligner.Options(), aligner.Compute(device='cuda:77'); print(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'aligner.backends.options'" in done.stdout
    assert not [name for name in HEAVY if f"'{name}'" in done.stdout]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ({"kernel": "numba", "device": "cuda"}, "the numba kernel runs on the CPU"),
        ({"kernel": "quick"}, "kernel 'quick'; one of auto, numba"),
        ({"device": "gpu"}, "there is no 'gpu': take cpu"),
        ({"precision": "half"}, "there is no 'half': take one of full, mixed"),
    ],
)
def test_ways_to_compute_that_are_not_there(call, what):
    with pytest.raises(DataError, match=what):
        Compute(**call)


def test_models_are_known_by_their_files(tmp_path):
    kinds = {
        "hmm.json": "hmm",
        "mdef": "hmm",
        "ctc.json": "ctc",
        "config.json": "ctc",
        "boundaries.json": None,
    }
    for name, kind in kinds.items():
        folder = tmp_path / name.split(".")[0]
        folder.mkdir()
        (folder / name).touch()
        check_known(folder)
        assert kind_of(folder) == kind
    assert (kind_of("english"), kind_of("hama"), kind_of("MMS_FA"), kind_of(None)) == (
        "hmm",
        "ctc",
        "ctc",
        None,
    )
    with pytest.raises(ModelError, match="no model in this folder"):
        check_known(tmp_path)


# One recording.


@pytest.fixture
def speech(tmp_path) -> Path:
    """A folder with a name that is none of the usual, with two sentences and what must not matter."""
    folder = tmp_path / "Mein Körpus" / "Änne O'Neil"
    folder.mkdir(parents=True)
    for suffix in (".flac", ".lab", ".phn"):
        shutil.copy(SAMPLE / "rms" / f"kitchen{suffix}", folder)
    shutil.copy(SAMPLE / "rms" / "winter.flac", folder / "der Winter.flac")
    (folder / "lost.lab").write_text("nobody says this")
    (folder / "broken.wav").write_text("no sound")
    (folder / "video.m4a").touch()
    return folder


def run(*arguments):
    return CliRunner().invoke(align, [str(a) for a in arguments])


def statuses(out: Path) -> dict[str, str]:
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        return {r["file"]: r["status"] for r in csv.DictReader(file)}


def words(grid: Path) -> list[str]:
    return [i.label for i in dict(read_textgrid(grid))["words"] if i.label]


def test_one_recording(speech, tmp_path, monkeypatch):
    """Its transcript is beside it, and nothing else in the folder is told; then another one, to the same
    place.
    """
    monkeypatch.chdir(speech)
    out = tmp_path / "out"
    result = run("kitchen.flac", out, "--reference", ".", "--report")
    assert result.exit_code == 0, result.output
    assert "files     1\n" in result.output
    assert "references 1, missing 0" in result.output
    assert not any(name in result.output for name in ("lost", "broken", "video"))
    assert {p.name for p in out.iterdir()} == {
        "kitchen.TextGrid",
        "alignment.csv",
        "oovs.csv",
        "run.json",
        "report",
    }
    record = json.loads((out / "run.json").read_text())
    assert record["corpus"] == str(speech)
    with (out / "alignment.csv").open(encoding="utf-8") as file:
        [row] = csv.DictReader(file)
    assert (row["file"], row["recording"], row["speaker"], row["status"]) == (
        "kitchen",
        "kitchen.flac",
        "Änne O'Neil",
        "ok",
    )
    assert words(out / "kitchen.TextGrid") == KITCHEN.rstrip(".").split()
    assert "skipped   1 files" in run("kitchen.flac", out).output
    text = (SAMPLE / "rms" / "winter.lab").read_text()
    assert run(Path("..") / speech.name / "der Winter.flac", out, "--text", text, "-f", "json").exit_code == 0
    assert statuses(out) == {"der Winter": "ok", "kitchen": "ok"}
    assert json.loads((out / "der Winter.json").read_text())["utterances"][0]["transcript"] == text.strip()
    assert run(speech / "kitchen.flac", out, "--existing", "error").exit_code == 1
    assert run(speech / "kitchen.flac", out, "--existing", "overwrite").exit_code == 0
    assert statuses(out) == {"der Winter": "ok", "kitchen": "ok"}
    for call in (["report", out], ["inspect", out, "--no-open"], ["evaluate", speech, out, "--brief"]):
        done = CliRunner().invoke(main, [str(a) for a in call])
        assert done.exit_code in (0, 1)
        assert "not there" not in done.output
        assert "missing 0" in done.output or call[0] != "evaluate"
    assert "2 recordings in" in CliRunner().invoke(main, ["inspect", str(out), "--no-open"]).output


def test_one_recording_again_of_a_corpus_that_was_aligned(corpus, tmp_path):
    """It goes where the run of the whole corpus put it, and the others' rows stand."""
    out = tmp_path / "out"
    run(corpus, out)
    before = (out / "anna" / "kitchen.TextGrid").read_text()
    (corpus / "anna" / "kitchen.lab").write_text("There is a pot of soup.")
    assert run(corpus / "anna" / "kitchen.flac", out, "--existing", "overwrite").exit_code == 0
    assert (out / "anna" / "kitchen.TextGrid").read_text() != before
    assert set(statuses(out)) == {"anna/kitchen", "anna/winter"}
    assert json.loads((out / "run.json").read_text())["corpus"] == str(corpus)


def test_one_recording_may_be_aligned_into_a_folder_in_its_own(speech):
    assert run(speech / "der Winter.flac", speech / "out", "--text", "In winter").exit_code == 0
    assert (speech / "out" / "der Winter.TextGrid").is_file()


@pytest.mark.parametrize("table", ["kitchen.flac\tThere is a pot", "sub/kitchen\tThere is a pot"])
def test_the_row_of_one_recording(tmp_path, table):
    """In a table of its folder, or of the folder above; of other rows nothing is told, however wrong."""
    from aligner.corpus.find import find_one

    folder = tmp_path / "sub"
    folder.mkdir()
    shutil.copy(SAMPLE / "rms" / "kitchen.flac", folder)
    home = tmp_path if "/" in table else folder
    (home / "transcripts.tsv").write_text(f"{table}\nbroken\n")
    [utterance] = find_one(folder / "kitchen.flac").utterances
    assert utterance.transcript == "There is a pot"
    (home / "transcripts.tsv").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"transcripts.tsv:1: byte 0xE9"):
        find_one(folder / "kitchen.flac")


def test_validating_one_recording(speech):
    done = CliRunner().invoke(main, ["validate", str(speech / "kitchen.flac")])
    assert done.exit_code == 0, done.output
    assert "recordings  1" in done.output
    assert "nothing is wrong" in done.output
