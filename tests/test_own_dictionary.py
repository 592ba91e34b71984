"""The English dictionary of the package is looked up in its text: as if all of it had been read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligner.formats.files import read_text
from aligner.text import own
from aligner.text.dictionaries import read_lexicon
from aligner.text.lexicon import Lexicon
from aligner.text.own import SortedEntries


@pytest.fixture(scope="module")
def read():
    """The dictionary, read line by line as those of users are."""
    return Lexicon.parse(read_text(own.PATH), path=own.PATH)


def test_the_file_is_the_one_that_is_known():
    assert own.entries() is not None


def test_words_are_found_as_if_all_had_been_read(read):
    sought = own.entries()
    some = list(read.entries)[::7] + list(read.entries)[-7:]
    assert {word: sought[word] for word in some} == {word: read.entries[word] for word in some}
    assert dict(own.entries()) == read.entries  # all at once


def test_its_phones_are_known_beforehand(read):
    assert read.phones == own.PHONES


@given(st.dictionaries(st.text("ab'-.(", min_size=1), st.lists(st.sampled_from(["A B", "C"]), min_size=1)))
def test_what_is_there_is_found_and_nothing_else(entries):
    entries = {word: said for word, said in entries.items() if not word.endswith(")")}
    lines = [
        f"{word}{'' if k == 1 else f'({k})'} {phones}\n"
        for word, said in sorted(entries.items())
        for k, phones in enumerate(said, 1)
    ]
    found = SortedEntries("".join(lines))
    assert {word: found.get(word) for word in entries} == {w: "\n".join(said) for w, said in entries.items()}
    assert not any(word in found for word in ("", "c", "a)", "zz", " ") if word not in entries)
    assert dict(found) == {w: "\n".join(said) for w, said in entries.items()}
    assert "zz" not in found
    assert list(found) == sorted(entries)


def test_models_with_other_phones_have_it_read_as_any_other(read):
    found = read_lexicon(own.PATH, (own.PHONES - {"ZH"}).__contains__)
    assert not isinstance(found.entries, SortedEntries)
    assert found.bad
    assert all("ZH" in line.rule for line in found.bad)


def test_a_file_that_was_changed_is_read_as_any_other(tmp_path, monkeypatch, read):
    changed = tmp_path / "english.dict"
    changed.write_text("zebra Z IY1 B R AH0\nant AE1 N T\n")
    monkeypatch.setattr(own, "PATH", changed)
    assert own.entries() is None
    assert dict(read_lexicon(changed).entries) == {"zebra": "Z IY1 B R AH0", "ant": "AE1 N T"}
