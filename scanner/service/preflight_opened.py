"""Opens what a configuration names: receivers, trust stores, a list of CT logs, client certificates.

Loaded only where one is named, because what opens them takes longer to load than all else that is checked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from reports.deliver import problem_of
from scanner.config.loading import Config
from scanner.config.variables import is_unset
from scanner.errors import LogListError, Problem, TrustStoreError
from scanner.inventory import ClientCertificate
from scanner.jobs.client_identity import misfit
from scanner.known_keys import PublishedKeys
from scanner.probe.x509.ct_logs import load_logs
from scanner.probe.x509.trust import MOZILLA, SYSTEM, load_store

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"


def receivers(config: Config) -> Iterator[Problem]:
    """Receivers whose addresses are none."""
    for receiver in config.receivers:
        # Of a variable that is not set: `run` tells nobody, and goes without.
        if is_unset(receiver.url):
            continue
        if wrong := problem_of(receiver.url):
            hint = "see the list of services in Apprise's documentation"
            yield Problem(f"notify[{receiver.name}].url", wrong, hint)


def trust_stores(config: Config) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings about trust stores."""
    problems, warnings = list[Problem](), list[Problem]()
    named = [("scan.trust_store", config.scan.trust_store)]
    named += [
        (f"environment[{item.name}].trust_store", item.trust_store)
        for item in config.form.environment
        if item.trust_store
    ]
    for key, name in named:
        path = name if name in {MOZILLA, SYSTEM} else str((config.folder / name).absolute())
        kinds = _kinds_of(Path(path)) if path != name else frozenset()
        if kinds == {_KEY}:
            hint = "name the certificates of your CAs, and keep keys out of the scanner's reach"
            problems.append(Problem(key, f"{path} is a private key, not a trust store", hint))
            continue
        if _KEY in kinds:
            warnings.append(Problem(key, f"{path} holds a private key beside certificates", "take it out"))
        try:
            load_store(path)
        except TrustStoreError as error:
            problems.append(Problem(key, str(error)))
    return problems, warnings


def ct_logs(config: Config) -> Iterator[Problem]:
    """Why the list of CT logs that is named is none."""
    if config.scan.ct_logs:
        try:
            load_logs(str((config.folder / config.scan.ct_logs).absolute()))
        except LogListError as error:
            yield Problem("scan.ct_logs", str(error))


def published_keys(config: Config) -> Iterator[Problem]:
    """Why the list of published keys that is named is none."""
    if config.scan.published_keys:
        path = (config.folder / config.scan.published_keys).absolute()
        try:
            PublishedKeys(path)
        except OSError as error:
            yield Problem("scan.published_keys", f"{path} cannot be read: {error.strerror}")
        except ValueError as error:
            yield Problem("scan.published_keys", str(error))


def client_certificates(config: Config) -> tuple[list[Problem], list[Problem]]:
    """Errors and warnings about client certificates."""
    now = datetime.now(UTC)
    problems, warnings = list[Problem](), list[Problem]()
    for environment in config.inventory.environments:
        for endpoint in environment.endpoints:
            for application in endpoint.applications:
                identity = application.client_certificate
                if identity is None:
                    continue
                key = f"environment[{environment.name}].application[{application.name}].client_certificate"
                unfit = _unfit(key, identity)
                if unfit is not None:
                    problems.append(unfit)
                else:
                    warnings += _out_of_date(key, identity.cert, now)
    return problems, warnings


def _kinds_of(path: Path) -> frozenset[bytes]:
    """Which of certificates and private keys a PEM file holds; nothing where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return frozenset()
    return frozenset(kind for kind in (_CERTIFICATE, _KEY) if kind in data)


def _unfit(key: str, identity: ClientCertificate) -> Problem | None:
    """Why a client certificate and its key cannot be used together; None where they can."""
    unread = _unread(f"{key}.cert", identity.cert, _CERTIFICATE, "certificate")
    unread = unread or _unread(f"{key}.key", identity.key, _KEY, "private key")
    if unread is not None:
        return unread
    if wrong := misfit(identity):
        return Problem(f"{key}.key", wrong, "name the key that the certificate was issued for")
    try:
        # With a passphrase that is none: OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(identity.cert, identity.key, password=lambda: b"")
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        return Problem(key, f"{identity.cert} and {identity.key} cannot be used: OpenSSL says {reason}")
    return None


def _unread(key: str, path: Path, kind: bytes, words: str) -> Problem | None:
    try:
        data = path.read_bytes()
    except OSError as error:
        return Problem(key, f"{path} cannot be read: {error.strerror}")
    if kind not in data:
        return Problem(key, f"{path} holds no {words} as PEM")
    if kind == _KEY and b"ENCRYPTED" in data:
        hint = "a scheduled scan cannot ask for a passphrase: openssl pkey -in FILE -out FILE.plain"
        return Problem(key, f"{path} is encrypted", hint)
    return None


def _out_of_date(key: str, path: Path, now: datetime) -> Iterator[Problem]:
    """Whether it is in force now."""
    try:
        leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return
    if now > leaf.not_valid_after_utc:
        yield Problem(f"{key}.cert", f"{path} expired on {leaf.not_valid_after_utc:%Y-%m-%d}", "renew it")
    elif now < leaf.not_valid_before_utc:
        yield Problem(f"{key}.cert", f"{path} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}")
