"""A corpus in, a hidden Markov model out: what ``aligner train`` does."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from aligner.backends.options import Compute
from aligner.backends.options import Options as AlignOptions
from aligner.corpus import audio
from aligner.corpus.find import find
from aligner.features import CepstralFrontend, Moments, SphinxFrontend
from aligner.formats.files import read_text, write_text
from aligner.formats.table import write_table
from aligner.learn.checkpoint import Checkpoint
from aligner.learn.history import HISTORY, Row, plot
from aligner.learn.pronouncing import Text, phones_of, speller
from aligner.learn.spread import spread
from aligner.models import saved
from aligner.models.markov import MarkovModel
from aligner.models.store import cmu_dictionary
from aligner.names import EM
from aligner.parallel.cores import cores
from aligner.refine.suspect import WORST_WINDOW
from aligner.refine.thresholds import Scores, worst_margin
from aligner.run.align import align
from aligner.run.plan import check_new, check_rights, room_in
from aligner.text.lexicon import SpokenWord
from aligner.text.phones import unstressed
from aligner.train.em import Example, gaussians_of, trees_of
from aligner.train.finish import finished_model
from aligner.train.stages import RECIPES, Stage, TrainingSet, TrainingState, affordable, train
from aligner.types import Alignment, DataError, Failure, Fault, ModelError, Pronunciation, Utterance

SAMPLED, LEAST_SAMPLED = 50, 20  # utterances by which it is told how well intact speech fits
BAD = 0.02  # share of them that may not be intact
INTACT = worst_margin(Scores.GAUSSIANS, WORST_WINDOW)  # of intact speech with the English model
RARE = 10  # times that a phone is said at least, lest it be told
SHORTEST = 20.0  # s of speech that anything can be learnt from: each phone is then heard once or twice


@dataclass(frozen=True)
class Options:
    """How to train.

    Attributes
    ----------
    stages : tuple of Stage
    em : {'viterbi', 'full'}
        Whether frames count for the best path alone, or for every path by its probability.
    seed : int
        Of the directions in which Gaussians are split; the same gives the same model.
    jobs : int
        Processes.
    device : str
        Where features, scores, search and sums are computed.
    frontend : CepstralFrontend
    resume : bool
        Whether to go on where an earlier training stopped.
    """

    stages: tuple[Stage, ...] = RECIPES["standard"]
    em: str = "viterbi"
    seed: int = 0
    jobs: int = field(default_factory=cores)
    device: str = "cpu"
    frontend: CepstralFrontend = field(default_factory=CepstralFrontend)
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.stages or self.stages[0].kind != "monophone":
            raise DataError("stages", "the first is not monophone", "begin with it: it needs no model")
        if self.em not in EM:
            raise DataError("em", f"there is no {self.em!r}", f"take one of {', '.join(EM)}")


def options_of(recipe: str, config: Path | None, **others: Any) -> Options:
    """Options of a recipe's name, changed by what a YAML file says.

    The file may have ``stages`` (a list of maps with the fields of `aligner.train.stages.Stage`), ``em`` and
    ``features`` (fields of `aligner.features.SphinxFrontend`).

    Raises
    ------
    DataError
        If the file cannot be read or says something that is not understood; naming the key.
    """
    options = Options(RECIPES[recipe], **others)
    if config is None:
        return options
    import yaml

    try:
        told = yaml.safe_load(read_text(config)) or {}
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", -1) + 1
        where = f"{config}:{line}" if line else config
        raise DataError(where, "it is not YAML", "write lines of key: value") from error
    if not isinstance(told, dict) or set(told) - {"stages", "em", "features"}:
        strange = (
            sorted(set(told) - {"stages", "em", "features"}, key=str) if isinstance(told, dict) else [told]
        )
        raise DataError(config, f"{strange[0]!r} is not understood", "the keys are stages, em and features")
    try:
        if "stages" in told:
            options = replace(
                options, stages=tuple(Stage(**_fields(Stage, s, "stages")) for s in told["stages"] or ())
            )
        if "features" in told:
            own = _fields(SphinxFrontend, told["features"], "features")
            cepstral = replace(options.frontend.cepstral, **own)
            options = replace(options, frontend=replace(options.frontend, cepstral=cepstral))
        return replace(options, em=others.get("em") or told.get("em", options.em))
    except (TypeError, ValueError) as error:
        raise DataError(
            config, str(error), f"a stage has {', '.join(f.name for f in fields(Stage))}"
        ) from error
    except DataError as error:
        raise DataError(config, f"{error.where}: {error.rule}", error.remedy) from error


def _fields(of: type, told: Any, key: str) -> dict[str, Any]:
    """What a file says of a dataclass's fields, once they are known to be such; ValueError if they are
    not."""
    if not isinstance(told, dict):
        raise ValueError(f"{key}: {told!r} is no map of fields")
    kinds = {"int": int, "float": (int, float), "str": str, "bool": bool}
    known = {f.name: kinds[str(f.type)] for f in fields(of)}
    for name, value in told.items():
        if name not in known:
            raise ValueError(f"{key}: {name!r} is none of {', '.join(known)}")
        if not isinstance(value, known[name]):  # type: ignore[arg-type]
            raise ValueError(f"{key}: {name} is {value!r}")
    missing = [f.name for f in fields(of) if f.default is MISSING and f.name not in told]
    if missing:
        raise ValueError(f"{key}: {missing[0]!r} is missing")
    return told


@dataclass(frozen=True)
class Summary:
    """What a training did.

    Attributes
    ----------
    model : MarkovModel
    utterances : int
        That were learnt from, in the last iteration.
    seconds : float
        Of speech.
    failures : tuple of Failure
        What could not be learnt from, and why.
    phones : tuple of str
    notes : tuple of str
        What the user should know: stages left out, phones that are rare or never said.
    """

    model: MarkovModel
    utterances: int
    seconds: float
    failures: tuple[Failure, ...]
    phones: tuple[str, ...]
    notes: tuple[str, ...]


class Corpus(NamedTuple):
    """Recordings that were heard, and transcripts that were spelled.

    Attributes
    ----------
    utterances : sequence of Utterance
    examples : sequence of Example
    labels : tuple of str
        Phones of the dictionary.
    failures : sequence of Failure
    seconds : float
        Of speech.
    """

    utterances: Sequence[Utterance]
    examples: Sequence[Example]
    labels: tuple[str, ...]
    failures: Sequence[Failure]
    seconds: float


Told = Callable[[str, int, int], None]  # what is done, how much of it, of how much


def train_hmm(
    corpus: Path,
    out: Path,
    text: Text,
    options: Options,
    notice: Callable[[Row], None] = lambda _: None,
    told: Told = lambda *_: None,
) -> Summary:
    """Train a model on a corpus, and save it.

    Parameters
    ----------
    corpus : Path
        Recordings and transcripts, as for `align`.
    out : Path
        Of the model; a folder that is not there yet, or holds no model.
    text : Text
    options : Options
    notice : callable
        Told of every iteration.
    told : callable
        Told what is done, how much of it, and of how much: the recordings read.

    Raises
    ------
    DataError
        If there is no corpus, too little in it can be learnt from, or ``out`` holds a model already.
    ModelError
        If eSpeak is needed and missing, or the model cannot be written.
    """
    check_new(out / saved.TABLE)
    find(corpus)  # a wrong name is better told before a folder is made
    check_rights(out)
    checkpoint = Checkpoint(out)
    if checkpoint.there and not options.resume:
        raise DataError(
            out, "a training that was not finished is there", "go on with --resume, or name another folder"
        )
    heard = listen(corpus, text, options, told)
    if heard.seconds < SHORTEST:
        why = f" ({heard.failures[0].utterance.id}: {heard.failures[0].message})" if heard.failures else ""
        raise DataError(
            corpus,
            f"{heard.seconds:.0f} s of speech can be learnt from{why}",
            f"a model needs {SHORTEST:.0f} s at the very least, and some minutes to be of use",
        )
    stages = affordable(options.stages, heard.seconds / 60)
    key = _key(heard, text, options, stages)
    begun, rows = checkpoint.load(key, options.device) if options.resume and checkpoint.there else (None, [])
    with spread(options.jobs, heard.examples, out) as mapped:
        speech = TrainingSet(
            examples=heard.examples, labels=heard.labels, em=options.em, seed=options.seed, spread=mapped
        )
        state = begun
        for state, row in _timed(train(speech, stages, options.frontend, begun), stages, rows, heard.seconds):
            rows.append(row)
            checkpoint.save(state, rows, key)
            with room_in(out):
                write_table(out / HISTORY, Row.columns(), [r.cells() for r in rows])
            notice(row)
        assert state is not None
        model = finished_model(speech, state).to("cpu")
    whole = replace(
        model,
        name=out.resolve().name,
        language=None if text.english else text.language,
        g2p=text.way,
        about=_about(heard, text, options, stages, rows),
    )
    with room_in(out):
        _write_dictionary(out, text, heard, state)
        plot(rows, out)
    whole = replace(whole, spread=spread_of(whole, out, heard.utterances, options.jobs))
    saved.save(whole, out)
    checkpoint.remove()
    failures = [*heard.failures, *_unaligned(heard, state)]
    notes = [*_left_stages(options.stages, stages, heard.seconds), *_rare(heard)]
    learnt = len(heard.examples) - len(failures) + len(heard.failures)
    return Summary(whole, learnt, heard.seconds, tuple(failures), trees_of(whole).phones, tuple(notes))


def listen(corpus: Path, text: Text, options: Options, told: Told = lambda *_: None) -> Corpus:
    """Read a corpus: what is said, by whom, and the normalised cepstra of how.

    Raises
    ------
    DataError, ModelError
        As `train_hmm`.
    """
    found = find(corpus)
    failures = list(found.failures)
    tokens: dict[str, Any] = {}
    for utterance in found.utterances:
        try:
            tokens[utterance.id] = text.tokens(utterance.transcript)
        except DataError as error:
            failures.append(Failure.of(utterance, error))
    spell = speller(text, [word for of in tokens.values() for token in of for word in token.spoken])
    spoken: dict[str, list[SpokenWord]] = {}
    cepstra: dict[str, Tensor] = {}
    ready = [u for u in found.utterances if u.id in tokens]
    with ThreadPoolExecutor(options.jobs) as pool:
        for k, (u, result) in enumerate(
            zip(ready, pool.map(lambda u: _cepstra(u, options), ready), strict=True)
        ):
            told("reading", k + 1, len(ready))
            try:
                if isinstance(result, DataError):
                    raise result
                spoken[u.id], _ = spell(tokens[u.id])
                cepstra[u.id] = result
            except DataError as error:
                failures.append(Failure.of(u, error))
    kept = [u for u in ready if u.id in cepstra]
    labels = phones_of(spell, list(spoken.values()))
    examples = list(_examples(kept, cepstra, spoken, options))
    seconds = options.frontend.clock.seconds(sum(map(len, cepstra.values())))
    return Corpus(kept, examples, labels, failures, seconds)


def _cepstra(utterance: Utterance, options: Options) -> Tensor | DataError:
    try:
        wave = torch.from_numpy(audio.read(utterance, options.frontend.clock.rate).wave)
    except DataError as error:
        return error
    return options.frontend.cepstra(wave.to(options.device))


def _examples(
    utterances: Sequence[Utterance],
    cepstra: Mapping[str, Tensor],
    spoken: Mapping[str, list[SpokenWord]],
    options: Options,
) -> Iterator[Example]:
    """Normalised by utterance and speaker."""
    voices: dict[str, Moments] = {}
    for u in utterances:
        own = Moments.of(cepstra[u.id])
        voices[u.speaker] = voices[u.speaker] + own if u.speaker in voices else own
    for u in utterances:
        said = spoken[u.id]
        yield Example(
            id=u.id,
            speaker=u.speaker,
            cepstra=options.frontend.normalise(cepstra[u.id], voices[u.speaker]),
            words=tuple(tuple(_bare(w.pronunciations)) for w in said),
            spelled=tuple(w.word for w in said),
        )


def _bare(pronunciations: Sequence[Pronunciation]) -> Iterator[Pronunciation]:
    """As a training begins: all are as likely, whatever a dictionary says of other speech; stress is not
    heard.
    """
    yield from dict.fromkeys(Pronunciation(tuple(map(unstressed, p.phones))) for p in pronunciations)


def _timed(
    states: Iterator[TrainingState], stages: Sequence[Stage], rows: Sequence[Row], speech: float
) -> Iterator[tuple[TrainingState, Row]]:
    """Every state, and what is to be told of it."""
    begun = time.perf_counter()
    for state in states:
        s, trees = state.statistics, trees_of(state.model)
        assert s is not None
        now = time.perf_counter()
        tried = s.utterances + len(s.unaligned)
        gaussians = int((gaussians_of(state.model).streams[0].weights > 0).sum())
        yield (
            state,
            Row(
                stages[state.stage].kind,
                state.iteration,
                stages[state.stage].iterations,
                s.log_likelihood / max(s.frames, 1),
                len(s.unaligned) / max(tried, 1),
                trees.forest.pdfs,
                gaussians,
                now - begun,
                speech / (now - begun),
            ),
        )
        begun = time.perf_counter()


def _key(heard: Corpus, text: Text, options: Options, stages: Sequence[Stage]) -> str:
    """What a training is of, so that only the same one goes on: its utterances, words and options."""
    told = {
        "examples": [
            (e.id, e.speaker, len(e.cepstra), [[p.phones for p in w] for w in e.words])
            for e in heard.examples
        ],
        "labels": heard.labels,
        "text": {f.name: str(getattr(text, f.name)) for f in fields(text)},
        "em": options.em,
        "seed": options.seed,
        "frontend": asdict(options.frontend.cepstral),
        "stages": [asdict(s) for s in stages],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _about(
    heard: Corpus, text: Text, options: Options, stages: Sequence[Stage], rows: Sequence[Row]
) -> dict[str, Any]:
    """How it was trained, on what, with which figures."""
    ends = {r.stage: r for r in rows}
    told = [{k: v for k, v in asdict(s).items() if v != float("inf")} for s in stages]
    return {
        "training": {"stages": told, "em": options.em, "seed": options.seed},
        "corpus": {
            "utterances": len(heard.examples),
            "hours": round(heard.seconds / 3600, 4),
            "speakers": len({e.speaker for e in heard.examples}),
            "left_out": len(heard.failures),
            "words": len({w for e in heard.examples for w in e.spelled}),
            "phones": dict(sorted(_said(heard).items())),
        },
        "words_from": text.dictionary.name if text.dictionary else text.way,
        "figures": {
            name: {
                "log_likelihood": round(r.log_likelihood, 4),
                "unaligned": round(r.unaligned, 4),
                "pdfs": r.pdfs,
                "gaussians": r.gaussians,
            }
            for name, r in ends.items()
        },
        "versions": {"torch": str(torch.__version__), "numpy": np.__version__},
    }


def _said(heard: Corpus) -> Counter[str]:
    """How often each phone is said, by the first pronunciations."""
    return Counter(p for e in heard.examples for w in e.words for p in w[0].phones)


def _write_dictionary(out: Path, text: Text, heard: Corpus, state: TrainingState) -> None:
    if not text.characters:
        write_text(out / saved.DICTIONARY, "".join(_lines(text, heard, state)))


def frontend_of(model: MarkovModel) -> CepstralFrontend:
    """The front end of a model that was trained here; ModelError if it was not."""
    if not isinstance(model.frontend, CepstralFrontend):
        raise ModelError(model.name, "it was not trained here", "train one with --backend hmm")
    return model.frontend


def spread_of(
    model: MarkovModel, out: Path, utterances: Sequence[Utterance], jobs: int, least: float = 1.0
) -> float:
    """How wide the margins of intact speech lie: of the corpus itself, of which a few utterances may be
    bad."""
    path = out / saved.DICTIONARY
    known = replace(model, dictionary=path if path.is_file() else None)
    some = utterances[:: max(1, len(utterances) // SAMPLED)]
    aligned = align(some, known, AlignOptions(adapt=False), Compute(jobs=jobs))
    worst = [a.quality.worst_margin for a in aligned if isinstance(a, Alignment)]
    if len(worst) < LEAST_SAMPLED:
        return 1.0
    return round(max(least, float(np.quantile(worst, BAD)) / INTACT), 3)


def _lines(text: Text, heard: Corpus, state: TrainingState) -> Iterator[str]:
    """A dictionary: the corpus's words as they were heard, then what else the user's own has."""
    words: Mapping[str, Sequence[Pronunciation]] = state.weights or {
        word: said for e in heard.examples for word, said in zip(e.spelled, e.words, strict=True)
    }
    low: dict[str, Sequence[Pronunciation]] = {}
    for word, said in words.items():
        low.setdefault(word.lower(), said)
    for word, said in sorted(low.items()):
        for p in said:
            yield "\t".join([word, *_numbers(p), " ".join(p.phones)]) + "\n"
    if text.dictionary is not None or text.english:
        for line in read_text(text.dictionary or cmu_dictionary()).split("\n"):
            key = line.split("(")[0].split()
            if key and key[0].lower() not in low:
                yield f"{line}\n"


def _numbers(p: Pronunciation) -> list[str]:
    if p.silence_after is None:
        return []
    return [f"{v:g}" for v in (p.probability, p.silence_after, p.silence_before, p.no_silence_before)]


def _unaligned(heard: Corpus, state: TrainingState) -> list[Failure]:
    by_id = {u.id: u for u in heard.utterances}
    paths = [pdfs for shard in state.paths or () for pdfs in shard.pdfs]
    lost: Sequence[str] = (
        state.statistics.unaligned
        if state.statistics
        else [  # gone on with, where all was done
            e.id for e, pdfs in zip(heard.examples, paths, strict=False) if not len(pdfs)
        ]
    )
    return [
        Failure(
            by_id[name],
            "it is too short for its transcript, and was not learnt from",
            "is it the transcript of another recording?",
            fault=Fault.TOO_SHORT,
        )
        for name in lost
    ]


def _left_stages(asked: Sequence[Stage], done: Sequence[Stage], seconds: float) -> list[str]:
    """What was left out for want of speech."""
    left = [s for s in asked if s not in done]
    if not left:
        return []
    last = [s.kind for s in done if s.kind != "pronunciations"][-1]
    return [
        f"with {seconds / 60:.1f} minutes of speech the stage {last!r} is the last that makes sense; "
        f"{', '.join(repr(s.kind) for s in left)} would need {max(s.minutes for s in left):g} minutes"
    ]


def _rare(heard: Corpus) -> list[str]:
    """Phones that were hardly heard, or not at all."""
    said = _said(heard)
    rare = [f"{p} ({said[p]})" for p in heard.labels if 0 < said[p] < RARE]
    never = [p for p in heard.labels if not said[p]]
    notes = []
    if rare:
        notes.append(
            f"said less than {RARE} times, so learnt from others of their kind, too: {', '.join(rare)}"
        )
    if never:
        notes.append(f"in the dictionary, but never said, so known only by their kind: {', '.join(never)}")
    return notes
