from __future__ import annotations

import pytest

from scanner.probe.net.plain_http import question, speaks_plain_http


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 404 Not Found\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: /in\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://shop.example/\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\n\r\n",
    ],
)
def test_a_server_of_plain_http(answer):
    assert speaks_plain_http(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
        b"HTTP/1.1 400 Bad Request\r\nServer: Apache\r\n\r\nReason: You're speaking plain HTTP to an SSL-enabled server port",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 \r\n\r\nThis combination of host and port requires TLS.",
        b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nServer: nginx\r\nLocation: https://shop.example/\r\n\r\n",
        b"HTTP/1.1 308 Moved\r\nlocation:HTTPS://shop.example/\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 ",
        b"",
    ],
)
def test_what_says_nothing_against_tls(answer):
    assert not speaks_plain_http(answer)


def test_the_question_names_the_host():
    assert question("shop.example") == b"HEAD / HTTP/1.0\r\nHost: shop.example\r\n\r\n"
