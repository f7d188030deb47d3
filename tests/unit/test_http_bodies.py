from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.probe.http.decoding import decoded

TEXT = b"<p>hello</p>" * 10
RAW_DEFLATE = zlib.compressobj(wbits=-zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("codings", "body"),
    [
        ([], TEXT),
        ([b"identity"], TEXT),
        ([b"GZIP"], gzip.compress(TEXT, mtime=0)),
        ([b"x-gzip"], gzip.compress(TEXT, mtime=0)),
        ([b"deflate"], zlib.compress(TEXT)),
        ([b"deflate"], RAW_DEFLATE.compress(TEXT) + RAW_DEFLATE.flush()),
        ([b"identity, gzip"], gzip.compress(TEXT, mtime=0)),
    ],
)
def test_a_coding_that_was_not_asked_for_is_undone(codings, body):
    assert decoded(body, codings, 1000) == (TEXT, True)


def test_a_bomb_is_undone_to_the_limit_alone():
    assert decoded(gzip.compress(b"\0" * 50_000_000), [b"gzip"], 1000) == (b"\0" * 1000, False)


@pytest.mark.parametrize("codings", [[b"br"], [b"gzip, gzip"], [b"gzip", b"br"], [b"\xff"]])
def test_of_an_unknown_coding_nothing_is_read(codings):
    assert decoded(TEXT, codings, 1000) == (b"", False)


def test_what_is_no_gzip_or_half_of_one_is_not_whole():
    assert decoded(b"not gzip", [b"gzip"], 1000) == (b"", False)
    text, whole = decoded(gzip.compress(TEXT, mtime=0)[:-9], [b"gzip"], 1000)
    assert TEXT.startswith(text)
    assert not whole


@given(st.binary(max_size=200), st.sampled_from([[b"gzip"], [b"deflate"], []]))
def test_any_body_stays_within_the_limit(body, codings):
    text, _ = decoded(body[:100], codings, 100)
    assert len(text) <= 100
