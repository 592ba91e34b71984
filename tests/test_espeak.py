"""Speech of eSpeak NG: phones tile it, each is a word's own, and lies where the waveform has it."""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aligner.reference.espeak import Synthesiser, SyntheticSpeech, arpabet, languages, library, resolve
from aligner.reference.espeak.languages import ALIASES
from aligner.reference.espeak.onsets import STOP_CLOSURE
from aligner.types import SAMPLE_RATE, SILENCE_LABEL, DataError, ModelError

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="eSpeak NG is not installed: pip install 'aligner[dtw]'",
)

SENTENCES = [
    ("en", "out of the house and in the end a lot of it was theirs to be had"),
    ("en", "we're well-known in 1998 don't you think mr smith"),
    ("sw", "habari yako ndugu yangu ng'ombe wangu wako shambani"),
    ("es", "el perro de la casa corre en el parque"),
    ("fr", "les amis ont un petit ours et qu' il n' y a pas"),
    ("cmn", "你好 世界 老师 吃饭"),
    ("ru", "привет в городе не был под домом объезд"),
    ("de", "in der stadt ist es was für ein schönes haus"),
    ("cs", "bez ní to ve městě není"),
    ("it", "la mamma rossa del cappotto"),
]


@pytest.fixture
def nothing_cached():
    library.voices.cache_clear()
    yield
    library.voices.cache_clear()


def say(language: str, text: str, **options) -> SyntheticSpeech:
    return Synthesiser(language=language, **options)(text.split())


def letters(speech: SyntheticSpeech, word: int) -> list[str]:
    return [phone.label for phone, own in zip(speech.phones, speech.words, strict=True) if own == word]


def energy(wave: np.ndarray, start: float, end: float) -> float:
    piece = wave[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)].astype(np.float64)
    return float(np.mean(piece**2))


def low_energy(wave: np.ndarray, width: float = 0.01) -> np.ndarray:
    """Energy below 1 kHz around each sample: voicing, and no frication."""
    spectrum = np.fft.rfft(wave.astype(np.float64))
    spectrum[np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE) > 1000] = 0
    window = np.ones(round(width * SAMPLE_RATE)) / round(width * SAMPLE_RATE)
    return np.convolve(np.fft.irfft(spectrum, len(wave)) ** 2, window, "same")


@needs_espeak
@pytest.mark.parametrize(("language", "text"), SENTENCES)
def test_phones_tile_and_every_word_has_its_own(language, text):
    words = text.split()
    speech = Synthesiser(language=language)(words)
    assert speech.wave.dtype == np.float32
    assert 0.05 < np.abs(speech.wave).max() <= 1
    assert speech.phones[0].start == 0
    assert speech.phones[-1].end == len(speech.wave) / SAMPLE_RATE
    assert all(a.end == b.start for a, b in zip(speech.phones, speech.phones[1:], strict=False))
    assert min(phone.duration for phone in speech.phones) > 0.005
    own = [word for word in speech.words if word >= 0]
    assert own == sorted(own)
    assert set(own) == set(range(len(words)))
    for phone, word in zip(speech.phones, speech.words, strict=True):
        assert (phone.label == SILENCE_LABEL) == (word == -1)
        assert not re.search(r"[ˈˌ\d.|_!()'-]", phone.label)


@needs_espeak
@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("en", "out of the house", ["aʊ t", "ʌ v", "ð ə", "h aʊ s"]),
        ("en", "a lot", ["ɐ", "l ɑː t"]),
        ("en", "far away", ["f ɑː ɹ", "ɐ w eɪ"]),
        ("sw", "habari yako", ["h a b a r i", "j a k o"]),
        ("es", "la casa", ["l a", "k a s a"]),
        ("fr", "les amis", ["l e z", "a m i"]),
        ("de", "es ist", ["ɛ s", "ɪ s t"]),
        ("cmn", "你好 老师", ["n i χ ɑu", "l ɑu ʂ ɨ"]),
        ("ru", "в городе", ["v", "ɡ o r ʌ dʲ i"]),
    ],
)
def test_phones_belong_to_the_words_that_a_reader_would_give_them(language, text, said):
    speech = say(language, text)
    assert [" ".join(letters(speech, i)) for i in range(len(text.split()))] == said


@needs_espeak
@pytest.mark.parametrize("speed", [120, 175, 300])
@pytest.mark.parametrize("language", ["en", "es", "sw", "fr"])
def test_the_vowel_of_sa_begins_where_voicing_does(language, speed):
    speech = say(language, "sa sa", speed=speed)
    voiced = low_energy(speech.wave)
    vowels = [i for i, phone in enumerate(speech.phones) if phone.label[0] in "aɑæ"]
    assert vowels
    for i in vowels:
        fricative, vowel = speech.phones[i - 1 : i + 1]
        inside = slice(*(round(t * SAMPLE_RATE) for t in (fricative.start + 0.01, vowel.end)))
        frication = np.median(voiced[inside][: round((fricative.duration - 0.03) * SAMPLE_RATE)])
        between = np.sqrt(frication * voiced[inside].max())
        assert voiced[inside].max() > 100 * frication
        rise = fricative.start + 0.01 + np.argmax(voiced[inside] > between) / SAMPLE_RATE
        assert abs(rise - vowel.start) < 0.015


@needs_espeak
@pytest.mark.parametrize("language", ["en", "es", "it"])
def test_a_stop_begins_with_its_closure(language):
    speech = say(language, "apa aka")
    stops = [phone for phone in speech.phones if phone.label in ("p", "k")]
    assert len(stops) == 2
    for stop in stops:
        assert energy(speech.wave, stop.start + 0.005, stop.start + 0.02) < 1e-6
        assert energy(speech.wave, stop.start - 0.03, stop.start) > 1e-4
        assert energy(speech.wave, stop.start + 0.03, stop.end) > 1e-6


@needs_espeak
@pytest.mark.parametrize("language", ["es", "sw", "it"])
def test_the_vowel_behind_a_nasal_begins_where_the_spectrum_changes(language):
    speech = say(language, "ana")
    nasal, vowel = speech.phones[1:3]
    assert (nasal.label, vowel.label) == ("n", "a")

    def spectrum(middle: float) -> np.ndarray:
        first = round((middle - 0.0075) * SAMPLE_RATE)
        piece = speech.wave[first : first + 240] * np.hanning(240)
        power = np.abs(np.fft.rfft(piece, 512))[4:164] ** 2
        return np.log(np.add.reduceat(power, range(0, 160, 8)) + 1e-4)

    murmur, open_mouth = spectrum(nasal.start + 0.2 * nasal.duration), spectrum(vowel.start + 0.055)
    times = np.arange(nasal.start + 0.01, vowel.start + 0.05, 0.001)
    closer = [np.linalg.norm(spectrum(t) - open_mouth) < np.linalg.norm(spectrum(t) - murmur) for t in times]
    assert abs(times[np.argmax(closer)] - vowel.start) < 0.025


@needs_espeak
def test_pauses_between_words_are_silent_and_nobody_s():
    speech = say("en", "many men sing", pause=0.2)
    pauses = [phone for phone, word in zip(speech.phones, speech.words, strict=True) if word == -1]
    inner = [p for p in pauses if p.start > 0 and p.end < speech.phones[-1].end]
    assert len(inner) == 2
    for pause in inner:
        assert 0.15 < pause.duration < 0.25
        assert energy(speech.wave, pause.start + 0.01, pause.end - 0.01) < 1e-6


@needs_espeak
def test_a_stop_behind_a_pause_keeps_a_closure_and_no_more():
    speech = say("en", "see two", pause=0.3)
    i = next(i for i, phone in enumerate(speech.phones) if phone.label == "t")
    assert speech.words[i - 1] == -1
    onset = speech.phones[i].start + STOP_CLOSURE
    assert energy(speech.wave, onset - 0.04, onset - 0.005) < 1e-6
    assert energy(speech.wave, onset, onset + 0.02) > 1e-6


@needs_espeak
@pytest.mark.parametrize("language", ["en", "ru"])
def test_equal_words_give_equal_samples_whatever_was_said_before(language):
    speak = Synthesiser(language=language)
    words = ["winter", "follows", "every", "autumn", "of", "the", "year"]
    first = speak(words)
    Synthesiser(language="sw", variant="f2", speed=250)(["habari"])
    again = pickle.loads(pickle.dumps(speak))(words)
    assert np.array_equal(first.wave, again.wave)
    assert (first.phones, first.words) == (again.phones, again.words)


@needs_espeak
def test_threads_do_not_disturb_each_other():
    jobs = [(language, text) for language, text in SENTENCES[:6]] * 2
    alone = [say(*job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: say(*job), jobs))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.wave, other.wave)
        assert one.phones == other.phones


@needs_espeak
@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "the lazy dog jumps over the quick brown fox of the house"),
        ("cmn", "你好 世界 我们 喜欢"),
        ("ru", "привет город в доме"),
    ],
)
def test_long_transcripts_are_said_whole(language, text):
    words = text.split() * 40
    speech = Synthesiser(language=language, speed=300)(words)
    own = [word for word in speech.words if word >= 0]
    assert own == sorted(own)
    assert set(own) == set(range(len(words)))
    once = [" ".join(letters(speech, i)) for i in range(len(words))]
    for i in range(len(text.split()), len(words) - len(text.split())):
        assert abs(len(once[i]) - len(once[i % len(text.split())])) <= 6, words[i]  # whole, but for sandhi


@needs_espeak
def test_speed_pitch_and_variant_are_heard():
    text = "many winters ago"
    plain, fast = say("en", text), say("en", text, speed=300)
    assert fast.phones[-1].end < 0.8 * plain.phones[-1].end
    assert not np.array_equal(plain.wave, say("en", text, pitch=80).wave)
    assert not np.array_equal(plain.wave, say("en", text, variant="f2").wave)


@needs_espeak
@pytest.mark.parametrize(
    "options", [{"speed": 79}, {"speed": 451}, {"pitch": 100}, {"pause": -0.1}, {"pause": 2}]
)
def test_parameters_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Synthesiser(language="en", **options)


@needs_espeak
def test_an_unknown_variant_is_refused():
    with pytest.raises(ModelError, match="nobody"):
        say("en", "hello", variant="nobody")


@needs_espeak
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("en", "en-us"),
        ("English", "en-us"),
        ("en-GB", "en-gb"),
        ("sw", "sw"),
        ("SWA", "sw"),
        ("Swahili", "sw"),
        ("pt_BR", "pt-br"),
        ("fre", "fr"),
        ("Russian", "ru"),
        ("cmn", "cmn"),
        ("zho", "cmn"),
        ("spanish", "es"),
    ],
)
def test_languages_are_known_by_code_and_name(asked, code):
    assert resolve(asked) == code
    assert code in languages()


@needs_espeak
def test_every_language_says_something():
    for code in languages():
        words = ["banana", "mat"]
        assert set(Synthesiser(language=code)(words).words) >= {0, 1}, code


@needs_espeak
def test_every_alias_leads_to_a_language():
    assert set(ALIASES.values()) <= set(languages())


@needs_espeak
def test_an_unknown_language_is_told_its_neighbours():
    with pytest.raises(DataError, match="swahili") as caught:
        resolve("swahilli")
    assert "aligner languages" in caught.value.message


@needs_espeak
def test_what_has_no_sound_is_named():
    with pytest.raises(DataError, match="no words"):
        Synthesiser(language="en")([])
    with pytest.raises(DataError, match="no sound"):
        Synthesiser(language="en")(["", "'"])


@needs_espeak
def test_a_word_with_letters_that_stays_silent_is_named(monkeypatch):
    synthesise = library.synthesise

    def deaf_to_it(library, text):
        samples, events = synthesise(library, text)
        return samples, [event for event in events if text[event[1] - 1 :].split()[:1] != ["dumb"]]

    monkeypatch.setattr(library, "synthesise", deaf_to_it)
    with pytest.raises(DataError, match=r"^dumb: eSpeak has no sound"):
        Synthesiser(language="en")(["one", "dumb", "word"])


@needs_espeak
def test_control_characters_are_no_commands():
    assert letters(Synthesiser(language="en")(["hello\x0199P", "you"]), 1) == ["j", "uː"]


def test_without_the_package_the_remedy_is_named(monkeypatch, nothing_cached):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ModelError, match=re.escape("pip install 'aligner[dtw]'")):
        languages()
    with pytest.raises(ModelError, match=re.escape("pip install 'aligner[dtw]'")):
        Synthesiser(language="en")


@needs_espeak
def test_american_phones_map_to_arpabet():
    text = (
        "the direction of her water is a garage button for young fires there on poor idea oily thing "
        "vision judge"
    )
    speech = say("en-us", text)
    assert [p.label for p in speech.phones if p.label and not arpabet(p.label)] == []
    spelt = [" ".join(phone for label in letters(speech, i) for phone in arpabet(label)) for i in range(9)]
    assert spelt[1] == "D IH R EH K SH AH N"
    assert spelt[8] == "B AH T AH N"
