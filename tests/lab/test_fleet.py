"""Targets of zones, by real workers over a real broker (Debian's Redis): found, counted once, and told where not."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import pickle
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from kombu.serialization import enable_insecure_serializers
from redis.exceptions import NoPermissionError, ResponseError

from scanner import forkserver
from scanner.errors import UsageError
from scanner.evidence import FailureReason, Protocol, TargetEvidence, to_json
from scanner.fleet import coordinator, leases
from scanner.fleet.broker import app_for
from scanner.fleet.certificates import make
from scanner.fleet.coordinator import FleetDispatcher
from scanner.fleet.messages import Shard
from scanner.fleet.settings import FleetSettings, queue_of
from scanner.fleet.users import make_users
from scanner.fleet.worker import Prober
from scanner.inventory import Address, CertificateFile, Endpoint, Environment, EnvironmentKind, Role, Target
from scanner.probe import ProbeSettings
from scanner.probe.authority.chains import leaf_and_issuer
from scanner.probe.x509.trust import MOZILLA
from tests.build.authority import certificate, key, pem
from tests.build.fleet import Redis, worker
from tests.build.ports import free_port
from tests.build.servers import servers
from tests.conftest import Runner

ENVIRONMENTS = {zone: Environment(zone, EnvironmentKind.ON_PREMISES, zone=zone) for zone in ("dmz", "plant", "nobody")}
PRIVATE = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"
SETTINGS = ProbeSettings(timeout_s=3.0, deadline_s=20.0, online=False)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a real nginx at every loopback address."""
    with servers(tmp_path_factory.mktemp("nginx")) as context:
        chosen = free_port()
        more = "".join(f"listen 127.0.6.{number}:{chosen} ssl;" for number in range(1, 31))
        context.nginx(["ecdsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {more}", port=chosen)
        yield chosen


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    make(tmp_path / "fleet", ["127.0.0.1"], ["dmz", "plant"])
    make_users(tmp_path / "fleet", ["127.0.0.1"], ["dmz", "plant"])
    with Redis(tmp_path, tmp_path / "fleet") as running:
        yield running


def test_doctor_says_whether_the_broker_can_be_used(redis: Redis, quick: Runner, tmp_path: Path) -> None:
    text = '[dispatch]\nengine = "celery"\nbroker = "{}"\ncertificates = "fleet/coordinator"\n'
    (tmp_path / "config.toml").write_text(text.format(redis.url), "utf-8")
    assert "ok    broker of the zones\n" in quick("doctor").out

    (tmp_path / "config.toml").write_text(text.format(redis.url.replace("coordinator:", "coordinator:x")), "utf-8")
    refused = quick("doctor")
    assert "LACK  broker of the zones: rediss://127.0.0.1: the broker cannot be used: invalid username" in refused.out
    assert refused.status == 4

    redis.stop()
    assert "the broker cannot be used: Error 111" in quick("doctor").out


def targets(zone: str, numbers: Sequence[int], port: int) -> list[Target]:
    return [
        Target(Endpoint(zone, f"h{number}.{zone}.example", port), Address(f"127.0.6.{number}", port))
        for number in numbers
    ]


async def found(
    redis: Redis,
    asked: Sequence[Target],
    on_each: Callable[[int], None] | None = None,
    settings: ProbeSettings = SETTINGS,
):
    """What was found, by target, and how often each came."""
    dispatcher = FleetDispatcher(redis.fleet, settings, frozenset(), os.urandom(4).hex())
    seen: list[tuple[str, TargetEvidence]] = []
    async with contextlib.aclosing(dispatcher.dispatch(asked, ENVIRONMENTS)) as answers:
        async for target, evidence in answers:
            seen.append((target.id, evidence))
            if on_each:
                on_each(len(seen))
    assert Counter(name for name, _ in seen) == Counter(target.id for target in asked), "each once"
    return dict(seen)


def test_each_zone_is_seen_from_its_own_worker(redis: Redis, port: int, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(leases, "NO_WORKER_S", 20.0)
    asked = [*targets("dmz", range(1, 4), port), *targets("plant", range(4, 6), port), *targets("nobody", [6], port)]
    with worker(redis, "dmz", tmp_path), worker(redis, "plant", tmp_path):
        seen = asyncio.run(found(redis, asked))

    for target in asked[:5]:
        evidence = seen[target.id]
        assert evidence.tls.value.negotiated == (Protocol.TLS1_2, Protocol.TLS1_3)
        assert evidence.tls.value.heartbleed.value is not None, "handshakes are made there as well"
        assert evidence.http.value is not None
        assert evidence.seen_from == target.endpoint.environment
    nobody = seen[asked[5].id]
    assert nobody.tls.failure.reason is nobody.http.failure.reason is FailureReason.NO_WORKER
    assert nobody.tls.failure.detail == 'no worker of zone "nobody" is connected'


def test_a_pickled_message_is_refused_by_both_sides(redis: Redis, port: int, tmp_path: Path, monkeypatch, caplog):
    """Unpickling is running what was sent: it would leave a file."""
    proof = tmp_path / "taken over"
    run_id: list[str] = []
    real = FleetDispatcher._send

    class Exploit:
        def __reduce__(self):
            return os.system, (f"touch '{proof}'",)

    def publish(queue: str) -> None:
        enable_insecure_serializers(["pickle"])
        body = pickle.dumps(Exploit())
        with app_for(redis.fleet).connection_for_write() as connection:
            producer = connection.Producer()
            producer.publish(
                body, exchange="", routing_key=queue, content_type="application/x-python-serialize",
                content_encoding="binary", headers={"task": "nightseal.shard", "id": "1"},
            )  # fmt: skip

    def send(self, *arguments) -> None:
        publish(f"nightseal.results.{self.run_id}")
        run_id.append(self.run_id)
        real(self, *arguments)

    monkeypatch.setattr(FleetDispatcher, "_send", send)
    publish(queue_of("dmz"))
    with worker(redis, "dmz", tmp_path):
        seen = asyncio.run(found(redis, targets("dmz", [1], port)))

    assert run_id
    assert next(iter(seen.values())).tls.value is not None, "and what is JSON is done all the same"
    assert not proof.exists()
    assert "a message of a worker was refused: Refusing to deserialize" in caplog.text
    assert "Refusing to deserialize" in (tmp_path / "dmz.log").read_text()


def test_a_worker_that_is_killed_costs_no_target(redis: Redis, port: int, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 8.0)
    asked = targets("dmz", range(1, 13), port)
    with worker(redis, "dmz", tmp_path) as first, contextlib.ExitStack() as others:
        family: list[psutil.Process] = []

        def kill(number: int) -> None:
            if number == 2:
                family.extend(psutil.Process(first.pid).children(recursive=True))
                first.kill()
                others.enter_context(worker(redis, "dmz", tmp_path))

        seen = asyncio.run(found(redis, asked, kill))
        left = [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    assert {evidence.tls.value is not None for evidence in seen.values()} == {True}
    assert family
    assert left == []


def test_a_broker_that_is_started_anew_costs_no_target(redis: Redis, port: int, tmp_path: Path, caplog):
    asked = [*targets("dmz", range(1, 11), port), *targets("plant", range(11, 13), port)]

    def again(number: int) -> None:
        if number == 2:
            redis.stop()
            # Long enough that it is looked for several times.
            time.sleep(3.0)
            redis.start()

    with worker(redis, "dmz", tmp_path), worker(redis, "plant", tmp_path):
        seen = asyncio.run(found(redis, asked, again))

    assert {evidence.tls.value is not None for evidence in seen.values()} == {True}
    assert caplog.text.count("the broker cannot be reached") == 1, "it is told once, however often it is looked for"


def test_a_busy_worker_takes_nothing_ahead(redis: Redis, port: int, tmp_path: Path, monkeypatch):
    """It would be nobody's, were the worker killed."""
    monkeypatch.setattr(leases, "SMALLEST", 1)
    left: list[int] = []
    with socket.create_server(("127.0.6.41", 0)) as listening, worker(redis, "dmz", tmp_path):
        ip, silent = listening.getsockname()
        slow = Target(Endpoint("dmz", "silent.example", silent), Address(ip, silent))

        def look(number: int) -> None:
            if number == 1:
                with app_for(redis.fleet).connection_for_read() as connection:
                    left.append(connection.default_channel.client.llen(queue_of("dmz")))
                # Who waits for it is refused now.
                listening.close()

        settings = dataclasses.replace(SETTINGS, timeout_s=30.0, deadline_s=60.0)
        asyncio.run(found(redis, [slow, *targets("dmz", range(1, 6), port)], look, settings))

    assert left == [2], "of three shards, two are left for others"


def test_a_worker_keeps_what_makes_its_handshakes_from_shard_to_shard(port: int):
    prober = Prober()
    seen: list[str] = []

    def running() -> set[psutil.Process]:
        server = forkserver.running()
        return set(psutil.Process(server).children()) if server is not None else set()

    class Said:
        async def say(self, target: Target, evidence: TargetEvidence) -> None:
            assert evidence.tls.value.heartbleed.value is not None
            seen.append(target.id)

    def shard(*numbers: int, engine: str = "survey") -> Shard:
        settings = dataclasses.replace(SETTINGS, engine=engine)
        return Shard(settings, {"dmz": ENVIRONMENTS["dmz"]}, (), tuple(targets("dmz", numbers, port)))

    before = running()
    prober.probe(shard(1, 2), Said())
    first = running() - before
    prober.probe(shard(3), Said())
    assert first
    assert running() - before == first
    prober.probe(shard(4, engine="sslyze"), Said())
    assert not running() & first, "another engine has others"
    prober.rest()
    _until(lambda: running() <= before)
    prober.probe(shard(5), Said())
    prober.rest()
    assert len(seen) == 5


def test_closed_early_it_has_the_workers_end_what_they_do(redis: Redis, tmp_path: Path):
    """A host that takes connections and says nothing would keep the worker for its whole deadline."""
    with socket.create_server(("127.0.6.40", 0)) as listening, worker(redis, "dmz", tmp_path) as process:
        ip, silent = listening.getsockname()

        async def begun_and_left() -> None:
            settings = ProbeSettings(timeout_s=30.0, deadline_s=60.0)
            dispatcher = FleetDispatcher(redis.fleet, settings, frozenset(), "left")
            asked = [Target(Endpoint("dmz", "silent.example", silent), Address(ip, silent))]

            async def never_done() -> None:
                async with contextlib.aclosing(dispatcher.dispatch(asked, ENVIRONMENTS)) as answers:
                    async for _ in answers:
                        raise AssertionError

            task = asyncio.create_task(never_done())
            await asyncio.to_thread(_until, lambda: _connected(ip))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        asyncio.run(begun_and_left())
        _until(lambda: not _connected(ip), within_s=25.0)
        assert process.poll() is None, "the worker itself goes on"


def _connected(ip: str) -> bool:
    """Whether a process holds a connection to it: the kernel keeps those that nobody closed at the other end."""
    return any(item.pid and item.raddr and item.raddr.ip == ip for item in psutil.net_connections("tcp"))


def _until(true: Callable[[], bool], within_s: float = 50.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_another_version_is_refused_with_both_named(redis: Redis, port: int, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(coordinator, "version", lambda: "Nightseal 9.9, Python 3.99")
    with worker(redis, "dmz", tmp_path):
        (evidence,) = asyncio.run(found(redis, targets("dmz", [1], port))).values()

    assert evidence.tls.failure.reason is FailureReason.ENGINE_ERROR
    assert "the run has Nightseal 9.9, Python 3.99" in evidence.tls.failure.detail
    assert "has Nightseal 0." in evidence.tls.failure.detail


def test_nobody_speaks_to_the_broker_without_a_certificate_of_the_fleet(redis: Redis, tmp_path: Path):
    make(tmp_path / "other", ["127.0.0.1"], ["dmz"])
    with pytest.raises(UsageError, match="no certificates for mutual TLS"):
        app_for(FleetSettings(redis.url))
    with pytest.raises(UsageError, match=r"would not use TLS \(write rediss://, or allow it"):
        app_for(FleetSettings("redis://127.0.0.1:1/0"))
    for stranger in (
        FleetSettings(redis.url, tmp_path / "other" / "zone-dmz"),
        FleetSettings(redis.url, insecure=True),
    ):
        with (
            app_for(stranger).connection_for_write() as connection,
            pytest.raises(Exception, match=r"(?i)ssl|certificate"),
        ):
            # Its default channel would be tried for again and again.
            connection.channel().client.ping()
    with app_for(redis.fleet).connection_for_write() as connection:
        assert connection.default_channel.client.ping()


def test_a_taken_worker_sees_nothing_of_another_zone_and_commands_nobody(redis: Redis, tmp_path: Path):
    """With its own certificate and password, whatever it sends to the broker."""
    outcome: dict[str, str] = {}
    stolen = FleetSettings(redis.url_of("dmz"), tmp_path / "fleet" / "zone-dmz")
    plant, results = queue_of("plant"), "nightseal.results.of-another-run"
    attempts: dict[str, tuple[str, ...]] = {
        "read another zone's targets": ("LRANGE", plant, "0", "-1"),
        "take another zone's targets": ("BRPOP", plant, "1"),
        "give another zone targets": ("LPUSH", plant, "{}"),
        "read what was found": ("LRANGE", results, "0", "-1"),
        "copy what was found to where it may be read": ("COPY", results, queue_of("dmz")),
        "take what was found": ("RPOP", results),
        "read what the coordinator has taken": ("HGETALL", "nightseal.unacked.coordinator"),
        "read what another zone has taken": ("HGETALL", "nightseal.unacked.zone-plant"),
        "read it in a script": ("EVAL", f"return redis.call('LRANGE', '{plant}', 0, -1)", "0"),
        "command other workers": ("PUBLISH", "/0.celery.pidbox", "{}"),
        "listen to everything": ("PSUBSCRIBE", "*"),
        "find keys": ("KEYS", "*"),
        "find keys one by one": ("SCAN", "0"),
        "guess at keys": ("RANDOMKEY",),
        "empty the broker": ("FLUSHALL",),
        "make a user": ("ACL", "SETUSER", "other", "on", "nopass", "~*", "+@all"),
        "set the broker up": ("CONFIG", "SET", "dir", "/"),
        "watch others": ("MONITOR",),
        "stop the broker": ("SHUTDOWN", "NOSAVE"),
    }
    with app_for(redis.fleet).connection_for_write() as connection:
        ours = connection.default_channel.client
        for key_of_others in (plant, results):
            ours.lpush(key_of_others, "secret")
        ours.hset("nightseal.unacked.coordinator", "1", "secret")
    with app_for(stolen).connection_for_write() as connection:
        client = connection.default_channel.client
        assert client.lpush(results, "what it has found") == 2
        for what, command in attempts.items():
            try:
                outcome[what] = f"done: {client.execute_command(*command)}"
            except NoPermissionError:
                outcome[what] = "refused"
            except ResponseError as error:
                outcome[what] = "refused" if "can't" in str(error) or "ermission" in str(error) else str(error)

    assert outcome == dict.fromkeys(attempts, "refused")
    with (
        app_for(
            FleetSettings(redis.url_of("dmz").replace("zone-dmz:", "zone-plant:"), stolen.certificates)
        ).connection() as connection,
        pytest.raises(Exception, match="invalid username-password pair"),
    ):
        connection.default_channel.client.ping()


def test_files_of_a_zone_are_read_by_its_worker(redis: Redis, port: int, tmp_path: Path, monkeypatch):
    """On the worker's machine, beside its ports, with its passwords; only certificates come back."""
    monkeypatch.setenv("STORE_PASSWORD", "Zx9-open-sesame")
    there = tmp_path / "there"
    (there / "ssl").mkdir(parents=True)
    issuer = certificate("Issuer", ca=True)
    leaves = {name: certificate(name, issuer, own_key=key()) for name in ("one", "two", "kept")}
    for name in ("one", "two"):
        (there / "ssl" / f"{name}.pem").write_bytes(pem(leaves[name].certificate) + PRIVATE)
    (there / "ssl" / "broken.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    locked = BestAvailableEncryption(b"Zx9-open-sesame")
    own = leaves["kept"]
    (there / "app.p12").write_bytes(pkcs12.serialize_key_and_certificates(b"a", own.key, own.certificate, None, locked))
    os.mkfifo(there / "pipe")
    files = {
        "all": CertificateFile(there / "ssl" / "*.pem"),
        "one": CertificateFile(there / "ssl" / "one.pem"),
        "locked": CertificateFile(there / "app.p12", "STORE_PASSWORD"),
        "unset": CertificateFile(there / "app.p12", "NO_SUCH_VARIABLE"),
        "pipe": CertificateFile(there / "pipe"),
        "none": CertificateFile(there / "ssl" / "*.jks"),
    }
    asked = {
        name: Target(Endpoint("dmz", f"file:{name}", 0, Role.SERVER, file=file), None) for name, file in files.items()
    }
    with worker(redis, "dmz", tmp_path):
        seen = asyncio.run(found(redis, [*asked.values(), *targets("dmz", [1], port)]))

    def names(name: str) -> set[str]:
        tls = seen[asked[name].id].tls.value
        return {item.leaf.subject for item in tls.certificates.value}

    assert names("all") == {"CN=one", "CN=two"}
    assert "broken.pem" in seen[asked["all"].id].tls.value.certificates.incomplete.detail
    assert (names("one"), names("locked")) == ({"CN=one"}, {"CN=kept"})
    failures = {name: seen[asked[name].id].tls.failure for name in ("unset", "pipe", "none")}
    assert {failure.reason for failure in failures.values()} == {FailureReason.MALFORMED}
    assert "NO_SUCH_VARIABLE is not set" in failures["unset"].detail
    assert "not a regular file" in failures["pipe"].detail
    assert all(seen[target.id].seen_from == "dmz" for target in asked.values())
    assert not any(b"PRIVATE" in to_json(evidence) for evidence in seen.values())
    port_seen = seen[targets("dmz", [1], port)[0].id]
    assert port_seen.tls.value.negotiated == (Protocol.TLS1_2, Protocol.TLS1_3)


def test_a_trust_store_has_the_name_that_the_run_gave_it(redis: Redis, port: int, tmp_path: Path):
    """The worker has its roots in a folder of its own, which is gone when the evidence is looked at."""
    root = certificate("Root", ca=True)
    store, file = tmp_path / "roots.pem", tmp_path / "leaf.pem"
    store.write_bytes(pem(root.certificate))
    file.write_bytes(pem(certificate("own", root).certificate))
    settings = dataclasses.replace(SETTINGS, trust_stores=(MOZILLA, str(store)))
    kept = Target(Endpoint("dmz", "file:own", 0, Role.SERVER, file=CertificateFile(file)), None)
    asked = [kept, *targets("dmz", [1], port)]
    with worker(redis, "dmz", tmp_path):
        seen = asyncio.run(found(redis, asked, settings=settings))

    for target in asked:
        (deployment, *_) = seen[target.id].tls.value.certificates.value
        assert [path.store for path in deployment.paths] == [MOZILLA, str(store)]
    (deployment,) = seen[kept.id].tls.value.certificates.value
    assert [path.trusted for path in deployment.paths] == [False, True]
    read = leaf_and_issuer(deployment)
    assert read is not None
    assert read[1] == root.certificate, "the run finds the root by that name"
