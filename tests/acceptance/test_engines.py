"""What `nightseal scan` says where one of its two engines, or the server, goes no further."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from scanner.lab import Lab, LabServer
from tests.conftest import Runner, reach


def scanned(quick: Runner, name: str, *options: str) -> dict:
    (target,) = quick("scan", f"{name}.lab.example", "--format", "json", *options).json["targets"]
    return target


def verdicts(target: dict) -> dict[str, dict]:
    return {verdict["rule"]: verdict for verdict in target["verdicts"]}


@pytest.mark.parametrize(
    ("name", "told", "unseen"),
    [
        # With TLS 1.3 alone the older attacks do not apply; the certificate is read by a handshake of our own.
        (
            "post-quantum-only",
            {"kex.post-quantum": "pass", "cert.trusted": "pass", "cert.valid-now": "pass"},
            ("integrity.no-early-data",),
        ),
        (
            "weak-curve",
            # So are two of the attacks looked for by our own probe.
            {
                "kex.min-ec-bits": "fail",
                "cert.trusted": "pass",
                "vuln.heartbleed": "pass",
                "vuln.ccs-injection": "pass",
            },
            ("vuln.renegotiation-dos",),
        ),
    ],
)
def test_a_server_that_sslyze_cannot_talk_to_is_told_by_the_survey(lab, quick, name, told, unseen) -> None:
    target = scanned(quick, name, *reach(lab, name))
    found = verdicts(target)

    assert target["evidence"]["protocols"]
    assert target["evidence"]["groups"]
    assert {rule: found[rule]["status"] for rule in told} == told
    assert found["proto.no-tls1.0"]["status"] == "pass"
    for rule in unseen:
        assert (found[rule]["status"], found[rule]["reason"]) == ("indeterminate", "not-observed"), rule
        assert "handshake-failed (TLS probing failed" in found[rule]["message"], rule


@contextlib.contextmanager
def tired_of_us(server: LabServer, after: int, end: str) -> Iterator[int]:
    """In front of a server: passes so many connections on, then says nothing to any more, or resets them."""
    loop = asyncio.new_event_loop()
    seen = 0

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        if seen > after:
            if end == "silence":
                await reader.read()
            else:
                writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(server.address, server.actual_port)
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    listening = loop.run_until_complete(asyncio.start_server(pass_on, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(ended(loop))
        loop.close()


async def ended(loop: asyncio.AbstractEventLoop) -> None:
    others = asyncio.all_tasks(loop) - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.parametrize(("end", "reason"), [("silence", "timed-out"), ("reset", "reset")])
def test_a_server_that_has_enough_of_us_is_left_alone_and_told_in_part(lab: Lab, quick, end, reason) -> None:
    with tired_of_us(lab.servers["tls1.0-to-1.3"], 24, end) as port:
        target = scanned(
            quick,
            "tls1.0-to-1.3",
            f"--connect-to=tls1.0-to-1.3.lab.example:443=127.0.0.1:{port}",
            f"--ca-file={lab.ca_file}",
            "--deadline=25",
        )
    found = verdicts(target)

    assert target["status"] == "partial"
    assert target["error"]["reason"] == reason
    # Not all over again: a few to find out whether it was by chance, and those that were under way.
    assert 24 < target["connections"] < 24 + 50
    assert target["evidence"]["certificates"]
    # It was seen to negotiate TLS 1.2, whatever happened afterwards.
    assert found["proto.tls1.2"]["status"] == "pass"
    assert found["cipher.allowed"]["status"] in {"fail", "indeterminate"}
    # It has TLS 1.0, and whatever was or was not heard of that, it is not told to be clean.
    assert found["proto.no-tls1.0"]["status"] != "pass"
