"""What is advised for HAProxy, Node.js and Tomcat mends what is found: on the real programs, before and after."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from scanner.config import loading as config
from scanner.rules import all_rules
from scanner.rules.certificates import fixes as certificates
from scanner.rules.https import fixes as enforcement
from scanner.rules.registry import Mistake
from scanner.rules.tls import fixes as tls
from scanner.verdict import Status
from tests.build.fix_servers import Ports
from tests.build.fixed_sites import files, observe, responder, worst
from tests.build.front_sites import FRONTS, Front, Site
from tests.build.ports import free_ports
from tests.build.servers import servers

_MISTAKES = {
    name: value
    for module in (certificates, enforcement, tls)
    for name, value in vars(module).items()
    if isinstance(value, Mistake)
}


@dataclass(frozen=True)
class Followed:
    """A mistake on one program, the advice against it there, and the rules that find the one and give the other."""

    key: str
    mistake: str
    advice: str
    rules: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.rules[0].replace('.', '-')}-{self.key}"


def _followed(front: Front) -> Iterator[Followed]:
    found: dict[tuple[str, str], list[str]] = {}
    for rule in all_rules().values():
        name = next((name for name, mistake in _MISTAKES.items() if mistake is rule.mistake), None)
        if name in front.wrong and front.key in rule.fix.servers:
            found.setdefault((name, rule.fix.servers[front.key]), []).append(rule.id)
    yield from (Followed(front.key, name, advice, tuple(rules)) for (name, advice), rules in found.items())


FOLLOWED = tuple(item for front in FRONTS.values() for item in _followed(front))
"""What is tried. Debian's Tomcat lets no client renegotiate, whatever Java's setting; that advice cannot be shown."""
Statuses = Mapping[str, Mapping[str, Status]]


@contextlib.contextmanager
def application() -> Iterator[int]:
    """What stands behind HAProxy: a page, one with something insecure in it, and one that sets a cookie."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            page = (
                b'<!doctype html><script src="http://x.fix.example/a.js"></script>' if self.path == "/mixed" else b"x"
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page if self.command != "HEAD" else b"")

        do_HEAD = do_OPTIONS = do_POST = do_GET  # noqa: N815  # the library's names

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def seen(front: Front) -> Statuses:
    """The worst status of each rule by host: each mistake of a program, before and after its advice was followed."""
    items = [item for item in FOLLOWED if item.key == front.key]
    text, connect_to, sites = '[[environment]]\nname = "all"\nkind = "on-premises"\n', {}, []
    ports = free_ports(4 * len(items))
    with (
        tempfile.TemporaryDirectory(prefix="nightseal-fronts-", ignore_cleanup_errors=True) as name,
        responder() as (url, answers),
        application() as backend,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        answers.append(files(folder, url))
        (folder / "staple.ocsp").write_bytes(answers[0])
        for item in items:
            mistake = _MISTAKES[item.mistake]
            wrong = {**front.good, "responder": url, **front.wrong[item.mistake]}
            if front.slot_of[item.mistake] == "certificate":
                right = {**wrong, "certificate": "fullchain", "bind": item.advice}
            else:
                right = {**front.advised(wrong, item.mistake, item.advice)}
            for slots, kind in ((wrong, "wrong"), (right, "fixed")):
                host, here = f"{item.name}-{kind}.fix.example", Ports(ports.pop(), ports.pop(), backend)
                sites.append(Site(host, here, slots))
                connect_to |= {f"{host}:443": (f"127.0.0.1:{here.tls}",), f"{host}:80": (f"127.0.0.1:{here.plain}",)}
                text += f'[[environment.endpoint]]\nhost = "{host}"\nrole = "{mistake.role}"\n'
                text += f'[[environment.application]]\nname = "{host}"\nhost = "{host}"\n{mistake.application}\n'
        (environment,) = config.parse(text, source="fixes", folder=folder).inventory.environments
        (folder / "servers").mkdir()
        with servers(folder / "servers") as started:
            front.start(started, folder, sites, backend)
            observed = asyncio.run(observe(folder, environment, connect_to))
    return worst(observed, environment)


@pytest.fixture(scope="module")
def statuses() -> Mapping[str, Statuses]:
    """Of each program that was asked for; made when it is first asked for."""

    class Seen(dict[str, Statuses]):
        def __missing__(self, key: str) -> Statuses:
            return self.setdefault(key, seen(FRONTS[key]))

    return Seen()


_TRIED = [
    pytest.param(
        item,
        rule,
        id=f"{rule}-{item.key}",
        marks=[pytest.mark.xdist_group(f"front-{item.key}"), *([pytest.mark.servers] if item.key == "tomcat" else [])],
    )
    for item in FOLLOWED
    for rule in item.rules
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("item", "rule"), _TRIED)
def test_the_advice_for_a_front_mends_it(statuses: Mapping[str, Statuses], item: Followed, rule: str) -> None:
    before, after = (statuses[item.key][f"{item.name}-{kind}.fix.example"][rule] for kind in ("wrong", "fixed"))

    assert before is Status.FAIL
    assert after in {Status.PASS, Status.NOT_APPLICABLE}
