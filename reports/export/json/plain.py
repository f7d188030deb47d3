"""What is taken in plain, and what pages give back of their address, in the outer form."""

from __future__ import annotations

from reports.export.json.base import Out
from scanner.evidence import Echo, PlainEvidence


class Plain(Out):
    """What the server accepts in clear text before TLS."""

    login: str | None
    """Result of beginning a login: `refused`, `taken` or `not-offered`; null if it could not be determined."""
    said: str
    injection: bool | None
    """Whether a command that was appended to the STARTTLS request was executed inside TLS."""
    upgrade: bool | None = None
    """Whether the port of plain HTTP goes over to TLS when it is asked to."""


class EchoOut(Out):
    """What a page made of a word that was put into its address, asked for in compressed form."""

    url: str
    coding: str
    """The content coding of the answer; empty where it was not compressed."""
    echoed: bool
    """The word stood in the page."""


def plain_of(plain: PlainEvidence) -> Plain:
    """Bring what is taken in plain into the outer form."""
    return Plain(
        login=plain.login.value.value if plain.login.value else None,
        said=plain.said,
        injection=plain.injection.value,
        upgrade=plain.upgrade.value,
    )


def echo_of(echo: Echo) -> EchoOut:
    """Bring what a page gave back into the outer form."""
    return EchoOut(url=echo.url, coding=echo.coding, echoed=echo.echoed)
