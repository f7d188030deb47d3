"""Celery, as it is used here: JSON alone, and known to the broker by a certificate."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery
from kombu.entity import Queue

from scanner.errors import UsageError
from scanner.fleet.settings import CA, CERTIFICATE, COORDINATOR, KEY, FleetSettings, unacked_keys

_ENCRYPTED: Final = {"rediss": "redis", "amqps": "amqp"}
_PLAIN: Final = {"redis", "amqp"}
_A_DAY_S: Final = 86_400
_PATIENCE_S: Final = 10
"""For so long is waited for a broker where it is only asked whether it is there."""


def app_for(settings: FleetSettings, member: str = COORDINATOR) -> Celery:
    """The application of a coordinator or of a worker.

    Raises:
        UsageError: the broker is none, or is not to be spoken to without TLS, or a certificate is not there.
    """
    app = Celery("nightseal", broker=settings.broker, backend=None)
    unacked, index, mutex = unacked_keys(member)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        # What is lost is given out anew by the coordinator, which knows what is missing of it.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        # What a busy worker would have taken ahead goes with it when it is killed: Redis gives it to nobody else for a
        # day. RabbitMQ does at once, and Celery has this for Redis alone.
        worker_disable_prefetch=urlsplit(settings.broker).scheme in {"redis", "rediss"},
        broker_connection_retry_on_startup=True,
        # The last four are of Redis, where a user's rights are the names of keys.
        broker_transport_options={
            "visibility_timeout": _A_DAY_S,
            "unacked_key": unacked,
            "unacked_index_key": index,
            "unacked_mutex_key": mutex,
            "priority_steps": [0],
        },
        task_create_missing_queues=True,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_use_ssl=_tls(settings),
    )
    return app


def reach(settings: FleetSettings) -> None:
    """Connect to the broker once, as a coordinator does.

    Raises:
        UsageError: it can't be; says why.
    """
    app = app_for(settings)
    patience = {"socket_connect_timeout": _PATIENCE_S, "socket_timeout": _PATIENCE_S}
    options = {**app.conf.broker_transport_options, **patience}
    parts = urlsplit(settings.broker)
    connection = app.connection_for_write(connect_timeout=_PATIENCE_S, transport_options=options)
    with connection:
        try:
            connection.connect()
            connection.default_channel.close()
        except (*connection.connection_errors, *connection.channel_errors, OSError) as error:
            words = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(f"{parts.scheme}://{parts.hostname}: the broker cannot be used: {words}") from error


def results_queue(name: str) -> Queue:
    """The queue to which workers say what they have found."""
    return Queue(name, durable=False, auto_delete=False, expires=_A_DAY_S)


def _tls(settings: FleetSettings) -> Any:
    parts = urlsplit(settings.broker)
    # Without what is secret in it.
    where = f"{parts.scheme}://{parts.hostname or ''}"
    if parts.scheme in _PLAIN:
        if not settings.insecure:
            encrypted = next(name for name, plain in _ENCRYPTED.items() if plain == parts.scheme)
            hint = f"write {encrypted}://, or allow it by insecure = true or --insecure"
            raise UsageError(f"{where}: the connection to the broker would not use TLS ({hint})")
        return None
    if parts.scheme not in _ENCRYPTED:
        raise UsageError(f"{where}: not a broker (write rediss://host:6379/0 or amqps://host:5671)")
    if settings.certificates is None:
        if not settings.insecure:
            raise UsageError(f"{where}: no certificates for mutual TLS (`nightseal cluster certificates` makes them)")
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    ca, certificate, key = (_there(settings.certificates / name) for name in (CA, CERTIFICATE, KEY))
    if parts.scheme == "rediss":
        return {
            "ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": ca, "ssl_certfile": certificate, "ssl_keyfile": key,
            "ssl_check_hostname": True,
        }  # fmt: skip
    return {
        "cert_reqs": ssl.CERT_REQUIRED, "ca_certs": ca, "certfile": certificate, "keyfile": key,
        "server_hostname": parts.hostname,
    }  # fmt: skip


def _there(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file (`nightseal cluster certificates` makes it)")
    return str(path)
