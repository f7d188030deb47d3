"""Targets of a zone by way of RabbitMQ, over mutual TLS and by the users that are made with the certificates."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from amqp.exceptions import AccessRefused
from kombu.simple import SimpleQueue

from scanner.evidence import TargetEvidence
from scanner.fleet.broker import app_for
from scanner.fleet.certificates import make
from scanner.fleet.coordinator import FleetDispatcher
from scanner.fleet.settings import FleetSettings, queue_of
from scanner.fleet.users import make_users
from scanner.inventory import Address, Endpoint, Environment, EnvironmentKind, Target
from scanner.probe import ProbeSettings
from tests.build.fleet import worker
from tests.build.ports import free_port
from tests.build.rabbitmq import RabbitMQ
from tests.build.servers import servers

pytestmark = pytest.mark.servers
ENVIRONMENTS = {"dmz": Environment("dmz", EnvironmentKind.ON_PREMISES, zone="dmz")}


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMQ]:
    for members in (make, make_users):
        members(tmp_path / "fleet", ["127.0.0.1"], ["dmz", "plant"])
    with RabbitMQ(tmp_path, tmp_path / "fleet") as running:
        yield running


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[list[Target]]:
    """Ten hosts of a real nginx."""
    (tmp_path / "nginx").mkdir()
    with servers(tmp_path / "nginx") as context:
        port = free_port()
        more = "".join(f"listen 127.0.6.{number}:{port} ssl;" for number in range(1, 11))
        context.nginx(["ecdsa"], f"ssl_protocols TLSv1.2 TLSv1.3; {more}", port=port)
        yield [
            Target(Endpoint("dmz", f"h{number}.example", port), Address(f"127.0.6.{number}", port))
            for number in range(1, 11)
        ]


async def found(
    broker: RabbitMQ, asked: list[Target], on_each: Callable[[int], None] = lambda _: None
) -> list[TargetEvidence]:
    settings = ProbeSettings(timeout_s=3.0, deadline_s=20.0, online=False)
    dispatcher = FleetDispatcher(broker.fleet, settings, frozenset(), os.urandom(4).hex())
    seen: list[tuple[str, TargetEvidence]] = []
    async with contextlib.aclosing(dispatcher.dispatch(asked, ENVIRONMENTS)) as answers:
        async for target, evidence in answers:
            seen.append((target.id, evidence))
            on_each(len(seen))
    assert Counter(name for name, _ in seen) == Counter(target.id for target in asked), "each once"
    return [evidence for _, evidence in seen]


def test_targets_are_found_also_where_the_broker_is_started_anew(
    rabbitmq: RabbitMQ, asked: list[Target], tmp_path: Path
) -> None:
    def anew() -> None:
        rabbitmq.stop()
        rabbitmq.start()

    restart = threading.Thread(target=anew)

    def again(number: int) -> None:
        if number == 2:
            restart.start()

    with worker(rabbitmq, "dmz", tmp_path):
        quietly = asyncio.run(found(rabbitmq, asked))
        over_a_kill = asyncio.run(found(rabbitmq, asked, again))
        restart.join()

    for evidence in [*quietly, *over_a_kill]:
        assert evidence.tls.value is not None
        assert evidence.seen_from == "dmz"


def test_a_zones_user_reads_no_other_queue_and_commands_nobody(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    with app_for(rabbitmq.fleet).connection_for_write() as connection:
        for name in (queue_of("plant"), "nightseal.results.other"):
            with contextlib.closing(SimpleQueue(connection, name)) as queue:
                queue.put({"secret": 1})
    stolen = app_for(FleetSettings(rabbitmq.url_of("dmz"), tmp_path / "fleet" / "zone-dmz"))
    for name in (queue_of("plant"), "nightseal.results.other"):
        with stolen.connection_for_read() as connection, pytest.raises(AccessRefused):
            connection.default_channel.basic_get(name)
    with stolen.connection_for_write() as connection:
        channel = connection.default_channel
        channel.exchange_declare("celery.pidbox", "fanout", durable=False, auto_delete=False)
        channel.confirm_select()
        with pytest.raises(AccessRefused):
            channel.basic_publish_confirm(
                channel.prepare_message("{}", content_type="application/json", content_encoding="utf-8"),
                exchange="celery.pidbox",
            )
