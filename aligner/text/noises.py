"""Words by which transcribers name sounds that are no speech, speech that nobody understood, and pauses.

A description such as "(door slams)" or "(laughs loudly)" is told from ordinary words in parentheses by the
words in it: all of them describe sounds, and one at least names a sound.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from aligner.formats.silences import TIME

# verbs of sounds that are no speech, which a description may hold in any form, as in "(cough)"
_VERBS = """
    applaud beep belch bleep breathe burp cackle chatter chortle chuckle cough exhale fart gag gargle
    gasp giggle groan growl grunt guffaw gulp hiccup hiccough inhale laugh lipsmack moan mumble murmur
    mutter purr sigh slurp smirk snicker snigger sniff sniffle snore snort sneeze sob squeal squeak
    stammer stutter swallow titter weep wheeze whimper whisper yawn yelp overlap mouthclick
"""
# verbs that are ordinary words where they stand alone, and sounds in other forms, as in "(claps)"
_OTHER_VERBS = """
    babble bang bark blow boo bounce buzz cheer chime chirp clap clatter clear click clink cluck coo
    crack crackle crash creak croak cry ding drip fidget hiss hoot howl hum jingle kiss knock meow neigh
    ping pop rattle ring roar rumble rustle scoff scrape scratch scream screech shout shriek shuffle
    shush shut sing sizzle slam smack snap speak spit splash stomp strum talk tap thud thump tick tut
    twitter wail whine whirr whistle whoosh yell
"""
_NAMES = """
    overtalk overtalking over-talking applause background bgnoise bkgr breath breaths br cg clk
    crosstalk cross-talk cutoff distortion echo feedback filler fx hesitation interference laughter
    laugther lg lipsmacks lip-smack ls music musical ng noise noises nonspeech non-speech nonverbal
    non-verbal ns nsn nz ringtone sfx snd soundtrack spk vocalization vocalisation vocalizations
    vocalized vocnoise static h hx ambience inbreath outbreath in-breath out-breath hh hhh breathy footsteps
    commotion instrumental gunshot gunshots gunfire sirens honk honks honking doorbell lachen lacht
    lachend gelächter hustet husten räuspert seufzt räuspern atmet einatmen ausatmen geräusch rire rires
    rit toux tousse soupir soupire bruit musique applaudissements risas risa ríe ríen tos tose suspiro
    suspira ruido música aplausos risate risata ride ridono tossisce tosse sospiro sospira rumore musica
    applausi risos riso ri riem barulho gelach kucht hoest zucht lach lachje naurua nauraa naurahtaa
    yskii skratt skrattar hostar suckar latter ler śmiech śmieje kaszle westchnienie смех смеется
    смеётся кашель кашляет вздох вздыхает шум музыка сміх kicheko gülüşmeler gülüyor kahkaha öksürük
    alkış 笑 笑い 笑声 笑聲 笑う 咳 咳嗽 掌声 掌聲 音乐 音樂 音楽 拍手 噪音 웃음 박수 음악 기침
"""
_UNCLEAR = """
    unclear inaudible unintelligible indistinct incomprehensible indiscernible undecipherable
    indecipherable unidentifiable untranscribable unk unknown oov xxx xx yyy www spn garbled muffled
    inarticulate undiscernible unintell unintel inaud indisc incompr gibberish foreign redacted
    expletive bleeped unreadable unrecognizable unrecognisable unverständlich unverst unv inintelligible
    ininteligible incompréhensible incomprensible incomprensibile incompreensível onverstaanbaar
    epäselvää ohörbart utydligt uforståelig niezrozumiałe niewyraźne неразборчиво нрзб нерозбірливо
    anlaşılmıyor 听不清 聽不清 聞き取れない 聴取不能 不明
"""
_ABOUT = """
    s sec secs second seconds a an and another are as at audience baby background bell bells behind big
    both bird birds brief briefly by car cars cell cellphone chair chairs child children closing
    continues continuing crowd deep deeply dish dishes distance dog dogs door doors dramatic each engine
    english everybody everyone faint faintly french from german glass glasses group hand hands hard
    hardly heard hearty heavily heavy her his horn alarm siren thunder in interviewer into is italian
    its japanese keyboard keys language languages light lightly lip lips long loud loudly low male
    female man men mandarin chinese moderator more mouth name names nervous nervously next nose of off
    office on one other others outside over page pages paper papers participant question people person phone
    place playing plays portion quick quickly quiet quietly recording room sharply short side slight
    slightly softly soft some someone somebody something sound sounds spanish speaker speakers speech
    starts static stops still student students table teacher telephone the their then throat through
    time timestamp to together tone tongue tv two under very video voice voices voiced voiceless while
    wildly wind with woman women word words moves moving opens opening closes dropping drops falling up
    down out arabic russian portuguese korean hindi sich leise laut schwer im hintergrund à en fond de
    fondo
"""
_EDITORIAL = frozenset(["sic", "ph", "phonetic", "sp", "phon", "spelling", "emphasis added", "emphasis mine"])
MOST_WORDS = 6  # of a description; a longer one in round brackets or stars is speech
_ADVERB = re.compile(rf"\w{{3,}}ly|{TIME.pattern}")  # how, or how long
_WORD = re.compile(r"[^\s,;:/.!?…]+")


def _forms(verb: str) -> set[str]:
    """The forms of an English verb that descriptions take, and some that are no words, which do no harm."""
    stem = verb.removesuffix("e")
    doubled = verb + verb[-1]
    ending = "es" if verb.endswith(("s", "sh", "ch", "z", "x", "y")) else "s"
    ies = {verb[:-1] + "ies", verb[:-1] + "ied"} if verb.endswith("y") else set()
    return {verb, verb + "s", verb + ending, stem + "ing", stem + "ed", doubled + "ing", doubled + "ed"} | ies


SOUNDS = frozenset(
    {
        *(form for verb in _VERBS.split() for form in _forms(verb)),
        *(form for verb in _OTHER_VERBS.split() for form in _forms(verb) - {verb}),
        *_NAMES.split(),
    }
)
UNCLEAR = frozenset(_UNCLEAR.split())
DESCRIBED = SOUNDS | UNCLEAR | frozenset(_ABOUT.split())
# that stand for what nobody understood without any brackets, as CHAT and ELAN have them
BARE = frozenset(["xxx", "yyy", "www", "spn"])


def _words(text: str) -> list[str]:
    return [word.strip("'\"*-").lower() for word in _WORD.findall(text) if word.strip("'\"*-")]


def is_noise(text: str, more: Collection[str] = frozenset()) -> bool:
    """Whether a description is of a sound, or of speech that nobody understood.

    Parameters
    ----------
    text : str
        What stands in brackets.
    more : collection of str
        Further words that name noises, in lower case.

    Examples
    --------
    >>> [is_noise(text) for text in ("laughs", "Door slams", "both laughing", "he laughs a lot", "see below")]
    [True, True, True, False, False]
    """
    if text.strip().lower() in more:
        return True
    words = _words(text)
    names = [w for w in words if w in SOUNDS or w in UNCLEAR or w in more]
    about = all(w in DESCRIBED or w in more or _ADVERB.fullmatch(w) for w in words)
    return bool(names) and about and len(words) <= MOST_WORDS


def is_unclear(text: str) -> bool:
    """Whether a description is of speech that nobody understood.

    Examples
    --------
    >>> [is_unclear(text) for text in ("xxx", "inaudible 00:12", "laughs")]
    [True, True, False]
    """
    return any(word in UNCLEAR for word in _words(text))


def is_editorial(text: str) -> bool:
    """Whether what stands in brackets is a remark of the transcriber about the word before: "sic"."""
    return text.strip(" ?.").lower() in _EDITORIAL
