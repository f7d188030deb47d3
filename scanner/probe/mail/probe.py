"""Asks what a mail domain says of one of its servers. Only targets that `scan mx:domain` named have a mail domain."""

from __future__ import annotations

import asyncio
from typing import Literal

from msgspec import Struct

from scanner.evidence import Attempt, Failure, FailureReason, MailDomain
from scanner.inventory import Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.dnssec import validates
from scanner.probe.http.mta_sts import sts_policy_of
from scanner.probe.mail.records import texts_of, tlsa_of
from scanner.probe.nameservers import ask
from scanner.probe.net.budget import Budget
from scanner.probe.net.cutoff import cut_off

_NOBODY = "name a resolver that checks signatures by --resolver or [scan] validating_resolver"


class MailProbe(Struct, frozen=True):
    """What the domain of a mail server says of it."""

    settings: ProbeSettings
    name: Literal["mail"] = "mail"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt[MailDomain]:
        """Ask, where the target was named by a mail domain. No connection to the target is made."""
        domain = target.endpoint.mail_domain
        if domain is None:
            return Attempt(failure=Failure(FailureReason.NOT_RUN))
        if self.settings.proxy is not None:
            detail = "a proxy cannot carry DNS queries, and none is sent past it"
            return Attempt.failed(FailureReason.NOT_ASKED, detail)
        asked = self._asked(domain, target)
        return await cut_off(asked, lambda: budget.deadline, lambda failure: Attempt(failure=failure))

    async def _asked(self, domain: str, target: Target) -> Attempt[MailDomain]:
        settings = self.settings
        server, seconds = settings.validating_resolver or settings.resolver, settings.timeout_s
        (tlsa, vouched), servers, record, reports, policy = await asyncio.gather(
            tlsa_of(target.endpoint.host, server, seconds),
            ask(server, domain, "MX", seconds),
            texts_of(f"_mta-sts.{domain}", "v=STSv1", server, seconds),
            texts_of(f"_smtp._tls.{domain}", "v=TLSRPTv1", server, seconds),
            sts_policy_of(domain, settings),
        )
        if isinstance(servers, Failure):
            signed: Attempt[bool] = Attempt(failure=servers)
        elif server is None:
            signed = Attempt.failed(FailureReason.NOT_ASKED, _NOBODY)
        elif vouched and servers.vouched:
            signed = Attempt.ok(value=True)
        elif await validates(server, seconds):
            signed = Attempt.ok(value=False)
        else:
            detail = f"{server} does not validate: it does not set the AD bit even for the root"
            signed = Attempt.failed(FailureReason.RESOLVER_FAILED, detail)
        return Attempt.ok(MailDomain(domain, target.endpoint.mail_preference, tlsa, signed, record, policy, reports))
