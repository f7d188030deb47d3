"""What is taken in plain before STARTTLS."""

from __future__ import annotations

from typing import Any

from scanner.evidence import Attempt, FailureReason, PlainEvidence, PlainLogin
from scanner.inventory import Role, StartTls
from tests.build.facts import NO, TIMED_OUT, YES, World
from tests.build.rule_cases.case import Case

_UNSUPPORTED: Attempt[Any] = Attempt.failed(FailureReason.UNSUPPORTED, "it has none")
_NOT_ASKED: Attempt[Any] = Attempt.failed(FailureReason.NOT_ASKED, "switched off")


def _case(rule: str, reason: str, plain: Any, **own: Any) -> Case:
    world = World(plain=plain, role=Role.SERVER, http_port=None, starttls=StartTls.SMTP)
    return Case(f"starttls.{rule}", reason, world, **own)


def _login(login: PlainLogin, said: str = "530 first STARTTLS") -> PlainEvidence:
    return PlainEvidence(Attempt.ok(login), said)


CASES = (
    _case("required", "refused", _login(PlainLogin.REFUSED)),
    _case("required", "not-offered", _login(PlainLogin.NOT_OFFERED)),
    _case("required", "taken", _login(PlainLogin.TAKEN, "334"), observed="334"),
    _case("required", "no-login", PlainEvidence(_UNSUPPORTED)),
    _case("required", "not-observed", PlainEvidence(TIMED_OUT)),
    _case("required", "not-observed", TIMED_OUT),
    _case("required", "not-asked", PlainEvidence(_NOT_ASKED)),
    _case("no-injection", "discarded", PlainEvidence(injection=NO)),
    _case("no-injection", "executed", PlainEvidence(injection=YES)),
    _case("no-injection", "no-lines", PlainEvidence(injection=_UNSUPPORTED)),
    _case("no-injection", "not-observed", PlainEvidence(injection=TIMED_OUT)),
    _case("no-injection", "not-asked", PlainEvidence(injection=_NOT_ASKED)),
    Case("starttls.required", "no-starttls"),
    Case("starttls.no-injection", "no-starttls"),
)
