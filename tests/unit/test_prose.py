"""The word list of docs/style.md finds what it names, across the end of a line too, and leaves ordinary English alone."""

from __future__ import annotations

import pytest

from release import prose

WORDS = prose.word_list(prose.STYLE.read_text("utf-8"))

FOUND = [
    "hosts is no folder",
    "that cannot be had here",
    "mend the server",
    "sign it anew",
    "a lock that stays for ever",
    "two causes are told apart",
    "the handshake comes about",
    "no handshake came about",
    "whoever sits between them",
    "the targets that were looked at",
    "the server goes over to TLS",
    "the list is not of today",
    "what is served no more",
    "nobody looked for a path",
    "said by one server alone",
    "nobody can tell whether it connects",
    "a file that is of no known form",
    "it shall be renewed",
    "the failure is told once",
    "it tells of 80 clients",
    "all bytes that there are",
    "its date stands in each finding",
    "the run is a process\nof its own",
    "judged otherwise than before",
    "a hello that the server does not stand",
    "it is reported all the same",
    "the policy is not at hand",
    "servers that mean ill",
]

LEFT_ALONE = [
    "Senders are told to insist on TLS.",
    "An asterisk stands for one label.",
    "Each zone has its own user.",
    "The report says that there is no such host.",
    "a host that is left alone",
    "for the same reason",
]


@pytest.mark.parametrize("text", FOUND)
def test_what_the_list_names_is_found(text: str) -> None:
    assert list(prose.matches(text, WORDS))


def test_every_row_of_the_list_has_an_example() -> None:
    unused = [pattern.pattern for pattern, _ in WORDS if not any(pattern.search(text) for text in FOUND)]

    assert unused == []


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_ordinary_english_is_left_alone(text: str) -> None:
    assert list(prose.matches(text, WORDS)) == []


def test_a_phrase_is_found_where_it_begins_although_it_goes_on_in_the_next_line() -> None:
    ((line, said, _),) = prose.matches("One.\nA process of\nits own.", WORDS)

    assert (line, said) == (1, "of its own")


def test_texts_of_policies_are_read_without_the_titles_of_their_sources() -> None:
    read = list(prose.policies())

    assert any("TLS 1.3 preferred" in text for _, _, text in read)
    assert not any("clause =" in text for _, _, text in read)


def test_paragraphs_of_documents_are_read_without_their_code() -> None:
    read = list(prose.documents())

    assert any("\n" in text for _, _, text in read)
    assert not any("```" in text or text.startswith("make demo ") for _, _, text in read)
