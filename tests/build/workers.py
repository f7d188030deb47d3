"""What a worker process may do instead of its work; it is found there by its module's name."""

from __future__ import annotations

import os
import signal
import time
from typing import NoReturn

from scanner.evidence import Attempt, FailureReason
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.tls.division import HandshakeResult


def die(_target: Target, _settings: ProbeSettings, _known: object, _budget: object) -> NoReturn:
    """End as a crash in the TLS engine's C code would end it."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError


def raise_error(_target: Target, _settings: ProbeSettings, _known: object, _budget: object) -> NoReturn:
    """Fail by a mistake in our own code."""
    raise ZeroDivisionError


def never_return(_target: Target, _settings: ProbeSettings, _known: object, _budget: object) -> NoReturn:
    """Hang, and not even heed the polite request to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


def tell_parent(_target: Target, _settings: ProbeSettings, _known: object, _budget: object) -> HandshakeResult:
    """Answer with the process from which this one was forked."""
    return HandshakeResult(Attempt.failed(FailureReason.ENGINE_ERROR, os.getppid()), 0)


def tell_self(_target: Target, _settings: ProbeSettings, _known: object, _budget: object) -> HandshakeResult:
    """Answer with the process that answers."""
    return HandshakeResult(Attempt.failed(FailureReason.ENGINE_ERROR, os.getpid()), 0)


def die_of_the_silent(target: Target, settings: ProbeSettings, known: object, budget: object) -> HandshakeResult:
    """Crash over one server, and answer for the others."""
    if target.endpoint.host.startswith("silent"):
        die(target, settings, known, budget)
    return HandshakeResult(Attempt.failed(FailureReason.ENGINE_ERROR, "alive"), 0)


def eat(mebibytes: int, _budget: object) -> int:
    """Take so much memory, and say how much it was."""
    return len(bytearray(mebibytes * 2**20)) // 2**20
