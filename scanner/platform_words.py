"""The words that people use for what the configuration calls otherwise: those of the platform's own documentation.

They are guesses that an error offers, and are never taken themselves. A word may mean several things, of which that is
offered which is possible at the key where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_MEANT: Final[Mapping[str, str]] = {
    # Kinds of applications.
    "traditional-web": "traditional, traditional web app, traditional web application, web, web app, website, screens",
    "reactive-web": "reactive, reactive web app, reactive web application, react, spa, single page application",
    "mobile-backend": "mobile, mobile app, mobile application, mobile apps, mobile backend app, native, "
    "native mobile app, native app, android, ios",
    "pwa": "progressive, progressive web app, progressive web application",
    "service": "services, api, backend, back end, library, core service, service module, web service, integration",
    # Roles of endpoints.
    "monitoring": "console, consoles, service center, servicecenter, lifetime, admin, administration, management, "
    "monitor, platform, platform console, users, user management, odc portal, portal, deployment controller",
    "development": "service studio, servicestudio, integration studio, integrationstudio, studio, ide, dev, developer, "
    "development environment, odc studio, integration builder, workflow builder, experience builder",
    "application": "app, forge, frontend, front end, front end server, web server, host, web app, mobile, mobile app, "
    "traditional, "
    "traditional web app, reactive, reactive web app",
    "server": "mail, smtp, ldap, database, db, mail server, database server",
    # Levels of HTTPS.
    "tls": "ssl, https, ssl/tls, tls/ssl, true, yes, required, on, enabled, secure, require https, enforce https, "
    "always, always https, enforced, enforce, forced, force, mandatory, must, https only, tls only, "
    "only https",
    "tls-client-certificate": "client certificate, client certificates, ssl/tls with client certificates, mtls, "
    "mutual tls, ssl with client certificates, tls with client certificates, tls client certificates, certificate",
    "none": "http, false, no, off, disabled, plain, optional, never, "
    "not required, not enforced, any, both, http or https, http and https, allowed",
    # Kinds of environments, of integrations.
    "paas": "cloud, outsystems cloud, saas, hosted, managed, provider, odc, o11 cloud",
    "on-premises": "on premises, on premise, on prem, onprem, onpremises, self managed, self hosted, private, own",
    "soap": "wsdl, asmx, soap web service, web service",
    "rest": "json, http, api, rest api, rest web service, odata",
    # STARTTLS.
    "smtp": "mail, submission",
    "postgres": "postgresql, psql, pg",
    "xmpp": "jabber",
    "ldap": "active directory, ad",
    "rdp": "remote desktop",
}
_MEANT_KEYS: Final[Mapping[str, str]] = {
    "https": "ssl, tls, ssl/tls, http security, https security, security, level, require https, enforce https",
    "hsts": "http strict transport security, strict transport security, enable hsts, "
    "enable http strict transport security",
    "force_https_screens": "https, ssl, tls, ssl/tls, http security, https security, force https, require https, "
    "enforce https, force https for screens, https for screens, https screens, force screens, screens",
    "force_https_integrations": "force https for integrations, force https for exposed integrations, "
    "https for integrations, https integrations, force integrations",
    "client_certificate": "certificate, client certificates, mtls, mutual tls",
    "paths": "screen, flow, flows, ui flow, ui flows, pages, screens, urls",
    "integrations": "rest, soap, api, apis, services, web services, exposed integrations",
    "kind": "type, app type, application type, environment type",
    "role": "type, kind, console, endpoint type",
    "host": "hostname, host name, fqdn, address, ip, url, dns, domain, server",
    "http_port": "http, plain port, plain http port",
    "default_domain": "domain, provider domain, platform domain, hostname, host name",
    "custom_domain": "own domain, custom domain name, domain name",
    "trust_store": "ca, ca file, cas, roots, trusted roots",
    "owner": "team, responsible, owned by, owners",
    "contact": "email, e mail, mail",
    "labels": "tags, label",
    "endpoint": "console, consoles, host, hosts, server, servers",
    "application": "app, apps, module, modules",
    "environment": "env, envs, stage, stages",
    "vantage": "vantage point, location, scanner, scanner name",
}


def _by_word(meant: Mapping[str, str]) -> Mapping[str, tuple[str, ...]]:
    return {
        word: tuple(value for value, words in meant.items() if word in words.split(", "))
        for said in meant.values()
        for word in said.split(", ")
    }


WORDS: Final = _by_word(_MEANT)
"""Values by the words for them, in lower case with single spaces."""
KEYS: Final = _by_word(_MEANT_KEYS)
"""Keys by the words for them, likewise; of several the first that there is at the place is meant."""
