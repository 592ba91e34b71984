"""Pronunciations by eSpeak NG: they are what it says, whatever is asked along with them."""

from __future__ import annotations

import importlib.util
import pickle
import re
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from aligner.reference.espeak import EspeakG2P, Synthesiser, languages, library
from aligner.text.lexicon import Lexicon, Pronouncer
from aligner.text.normalise import normalise
from aligner.types import DataError, ModelError

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="eSpeak NG is not installed: pip install 'aligner[dtw]'",
)

WORDS = {
    "it": "città perché chiesa giraffa pizza zio l'amore buon-giorno lungo cinque anno mamma bello "
    "aglio sogno scena "
    "acqua quando piccolo ragazzo notte figlio oggi essere bocca fatto grazie maggio specchio "
    "azzurro sbaglio",
    "ru": "привет щука ёлка что-то объезд жизнь цапля чай город дом подъезд сегодня солнце здравствуйте "
    "ничего счастье "
    "вьюга июнь яблоко ежевика жюри процесс отец мягкий детский книга молоко хорошо поезд ночь "
    "мышь ванна",
    "de": "Häuser Pferd zwölf Computer Straße tschüss schön Mädchen ich Bach Übung Vater Butter Apfel "
    "Katze Zeit sehr "
    "Uhr Lehrer Garage Genie singen Bank können Journalist Tag Chance Restaurant Kirche Fuchs "
    "Quelle geht's",
    "fr": "oiseau week-end aujourd'hui bonbon vin un brun femme fille feuille soleil gagner montagne "
    "roi loin chien "
    "jour cœur deux fleur rue nuit huit grand enfant garçon école parking oignon examen client "
    "qu'il c'est",
    "es": "chico guerra niño cielo hoy perro pero calle lluvia yo ayer agua huevo guapo gente quiero "
    "zapato cinco "
    "ciudad rey muy aire causa deuda búho examen México amigo haba cada trabajo mañana inglés también",
    "sw": "habari yako ng'ombe mtu nchi ndugu chakula shule kwa mwalimu nyumba dhahabu thamani ghali "
    "mbwa njia nguo "
    "mti mkono wanafunzi kitabu asante jambo rafiki mzee msichana ndege maji chumba mlango "
    "dirisha barabara",
    "pt": "não coração pão irmão mão também português muito filho velho chuva gente hoje água",
    "cmn": "你好 吃饭 老师 世界 是 日",
}


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """Grows whenever the library is loaded."""
    count: list[str] = []
    load = library.opened
    monkeypatch.setattr(library, "opened", lambda: (count.append("once"), load())[1])
    return count


def said(language: str, text: str, word: int = 0) -> tuple[str, ...]:
    speech = Synthesiser(language=language)(text.split())
    return tuple(p.label for p, own in zip(speech.phones, speech.words, strict=True) if own == word)


@needs_espeak
@pytest.mark.parametrize("language", WORDS)
def test_the_phones_are_those_that_are_said(language):
    words = WORDS[language].split()
    assert EspeakG2P(language).pronounce(words) == {word: said(language, word) for word in words}


@needs_espeak
@pytest.mark.parametrize(
    ("language", "text", "word", "phones"),
    [
        ("ru", "дома в лесу", 1, "v"),  # not the letter's name
        ("ru", "собака к дому", 1, "k"),
        ("ru", "мы не знаем", 1, "nʲ ɪ"),
        ("cs", "dům v lese", 1, "v"),
        ("pl", "dom z drewna", 1, "z"),
        ("fr", "il y pense", 1, "i"),
        ("pt", "casa é grande", 1, "ɛ"),
        ("it", "casa di Maria", 1, "d ɪ"),
        ("el", "και η γυναίκα", 1, "i"),
        ("hr", "kuća s vrtom", 1, "s"),
    ],
)
def test_words_sound_as_within_a_sentence(language, text, word, phones):
    assert " ".join(EspeakG2P(language)(text.split()[word])) == phones == " ".join(said(language, text, word))


@needs_espeak
@pytest.mark.parametrize(
    ("language", "word", "phones"),
    [
        ("it", "giraffa", "dʒ i r a f f a"),
        ("it", "pizza", "p i ts a"),
        ("de", "Häuser", "h ɔø z ɜ"),
        ("de", "Pferd", "pf eː ɾ t"),
        ("ru", "чай", "tʃʲ ɑ j"),
        ("fr", "bonbon", "b ɔ̃ b ɔ̃"),
        ("pt", "não", "n ɐ̃ʊ̃"),
        ("es", "hoy", "oɪ"),
        ("sw", "mtu", "m̩ t u"),
        ("cmn", "是", "ʂ ɨ"),
    ],
)
def test_affricates_diphthongs_and_letters_with_marks_are_one_phone(language, word, phones):
    assert EspeakG2P(language)(word) == tuple(phones.split())


@needs_espeak
@pytest.mark.parametrize(
    ("language", "digits", "word"),
    [
        ("it", "12", "dodici"),
        ("ru", "5", "пять"),
        ("de", "12", "zwölf"),
        ("fr", "12", "douze"),
        ("es", "12", "doce"),
        ("sw", "10", "kumi"),
        ("hi", "१२", "बारह"),
    ],
)
def test_digits_are_read_in_the_language(language, digits, word):
    g2p = EspeakG2P(language)
    assert g2p(digits) == g2p(word) != ()


@needs_espeak
@pytest.mark.parametrize(
    ("language", "word", "phones"),
    [
        ("ru", "computer", "k ə m p j uː t ə"),
        ("ru", "web-сайт", "w ɛ b s ɑ j t"),
        ("ru", "iPhone-ом", "aɪ f əʊ n o m"),
        ("fr", "week-end", "w iː k ɛ n d"),
        ("de", "E-Mail", "eː m eɪ l"),
    ],
)
def test_no_mark_of_another_language_is_a_phone(language, word, phones):
    assert EspeakG2P(language)(word) == tuple(phones.split())


@needs_espeak
@pytest.mark.parametrize("word", ["", "-", "'", "…", "\u0301", "\x01", "%"])
def test_what_has_no_sound_has_no_phones(word):
    assert EspeakG2P("ru")(word) == ()


@needs_espeak
def test_control_characters_are_no_commands():
    g2p = EspeakG2P("sw")
    assert g2p("\x0199Phabari") == g2p("99Phabari") != ()
    assert g2p("habari\0") == g2p("habari")


@needs_espeak
@pytest.mark.parametrize("language", ["ru", "fr", "cmn"])
def test_a_batch_gives_what_single_words_give_in_any_order(language):
    words = [*WORDS[language].split(), "computer", "12", "-"]
    batch = EspeakG2P(language).pronounce([*words, *words[:3]])
    assert list(batch) == words
    assert EspeakG2P(language).pronounce(words[::-1]) == batch
    assert {word: EspeakG2P(language)(word) for word in words} == batch


@needs_espeak
def test_the_library_is_loaded_once_for_a_batch_and_never_for_a_known_word(opened):
    g2p = EspeakG2P("it")
    opened.clear()
    known = g2p.pronounce(WORDS["it"].split())
    assert len(opened) == 1
    assert g2p("città") == known["città"]
    assert g2p.pronounce(["pizza", "zio"]) == {"pizza": known["pizza"], "zio": known["zio"]}
    assert g2p.pronounce([]) == {}
    assert len(opened) == 1


@needs_espeak
def test_it_goes_to_other_processes():
    g2p = EspeakG2P("Russian")
    again = pickle.loads(pickle.dumps(g2p))
    assert again == g2p == EspeakG2P("ru")
    assert again("чай") == g2p("чай")
    assert pickle.loads(pickle.dumps(g2p))("чай") == g2p("чай")  # with what it has said


@needs_espeak
def test_threads_do_not_disturb_each_other():
    alone = {language: EspeakG2P(language).pronounce(words.split()) for language, words in WORDS.items()}
    shared = EspeakG2P("ru")
    with ThreadPoolExecutor(4) as pool:
        batches = list(
            pool.map(lambda job: EspeakG2P(job[0]).pronounce(job[1].split()), list(WORDS.items()) * 2)
        )
        singles = list(pool.map(shared, WORDS["ru"].split() * 3))
    assert batches == list(alone.values()) * 2
    assert singles == list(alone["ru"].values()) * 3


@needs_espeak
def test_every_language_gives_plain_phones():
    for code in languages():
        for word, phones in EspeakG2P(code).pronounce(["banana", "mat"]).items():
            assert phones, (code, word)
            assert not [p for p in phones if not p or re.search(r"[\s\d()ˈˌ]", p)], (code, word)


@needs_espeak
def test_words_of_a_transcript_are_pronounced_by_it():
    pronounce = Pronouncer(lexicon=Lexicon({"дом": "d o m"}), g2p=EspeakG2P("ru"), known=lambda phone: True)
    spoken, oovs = pronounce(normalise("Дом, в 12 домах!", english=False))
    assert [" ".join(word.pronunciations[0].phones) for word in spoken][:2] == ["d o m", "v"]
    assert [word for word, _ in oovs] == ["в", "12", "домах"]


@needs_espeak
def test_an_apostrophe_s_is_no_english_one_where_the_phones_are_others():
    phones = {"ɡ", "eː", "t", "s"}
    [word], _ = Pronouncer(
        lexicon=Lexicon({"geht": "ɡ eː t"}), g2p=EspeakG2P("de"), known=phones.__contains__
    )(normalise("geht's", english=False))
    assert word.pronunciations[0].phones == ("ɡ", "eː", "t", "s")


@needs_espeak
def test_an_unknown_language_is_refused():
    with pytest.raises(DataError, match="swahili"):
        EspeakG2P("swahilli")


def test_without_the_package_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    library.voices.cache_clear()
    with pytest.raises(ModelError, match=re.escape("pip install 'aligner[dtw]'")):
        EspeakG2P("it")
    library.voices.cache_clear()
