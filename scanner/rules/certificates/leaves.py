"""What the rules about certificates have in common: how they see them, and whose signatures count."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanner.evidence import Certificate, Deployment

CERTIFICATES_HOW = (
    "The chain is read from the handshake, for each key type for which the server has a certificate. The chain for "
    "clients that send no server name is judged only if the host is an IP address, because browsers do not see it "
    "otherwise."
)

COMPLETED = "judged with an issuer that was fetched, not sent"
"""What is told of a chain that only browsers have whole: what holds of it holds for them."""


def below_root(deployment: Deployment) -> tuple[Certificate, ...]:
    """The leaf and every other certificate that is not self-signed: those whose signatures count."""
    leaf, *others = deployment.browser_chain
    return (leaf, *(item for item in others if not item.self_signed))


def sent_path(chain: tuple[Certificate, ...]) -> list[Certificate]:
    """The leaf and those of its issuers that were sent, each once, up to where no issuer follows."""
    path = [chain[0]]
    rest = list(chain[1:])
    while not path[-1].self_signed:
        issuer = next((item for item in rest if item.subject == path[-1].issuer), None)
        if issuer is None:
            break
        rest.remove(issuer)
        path.append(issuer)
    return path
