"""Which clients cannot connect to which targets, computed from what was seen: no client is started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from reports.clients import in_words
from reports.view.client_model import ClientsView, ClientView
from reports.view.index import Index
from reports.view.target_model import TargetRef
from scanner.clients import Outcome, all_clients, connect, server_of

MOST_TARGETS: Final = 1_000
"""Of a larger run the chapter is left out: it would take longer than all the others together."""


def clients_of(index: Index) -> ClientsView | None:
    """Who is cut off, those that are still supported first; None where no TLS was seen, or the run is too large."""
    targets = index.record.targets
    if len(targets) > MOST_TARGETS:
        return None
    clients = {one: client for one, client in all_clients().items() if client.core}
    failing: dict[tuple[str, str], list[TargetRef]] = defaultdict(list)
    unclear: set[str] = set()
    known: dict[str, Mapping[str, Outcome]] = {}
    seen = 0
    for target in targets:
        tls = target.evidence.tls.value if target.evidence else None
        if tls is None or not tls.negotiated:
            continue
        seen += 1
        # Servers of an estate are set up alike: what few of them do with fifty clients holds for all.
        server = server_of(tls)
        alike = repr((server.versions, sorted(server.unknown), server.keys, server.secure_renegotiation))
        if alike not in known:
            known[alike] = {one: connect(client, server) for one, client in clients.items()}
        for one, outcome in known[alike].items():
            if outcome.connects is False:
                failing[one, in_words(outcome)].append(index.ref(target))
            elif outcome.connects is None:
                unclear.add(one)
    if not seen:
        return None
    cut_off = {one for one, _ in failing}
    views = [
        ClientView(clients[one].title, clients[one].platform, clients[one].supported, why, tuple(refs))
        for (one, why), refs in failing.items()
    ]
    views.sort(key=lambda view: (view.supported is False, -len(view.targets), view.title, view.why))
    return ClientsView(
        clients=len(clients),
        targets=seen,
        everywhere=len(clients) - len(cut_off | unclear),
        unclear=len(unclear - cut_off),
        cut_off=tuple(views),
    )
