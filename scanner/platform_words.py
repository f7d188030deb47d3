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
    "monitor, platform, platform console, integration studio",
    "development": "service studio, servicestudio, studio, ide, dev, developer, development environment, odc studio",
    "application": "app, frontend, front end, web server, host, web app, mobile, mobile app, traditional, "
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
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    word: tuple(value for value, words in _MEANT.items() if word in words.split(", "))
    for words in _MEANT.values()
    for word in words.split(", ")
}
"""Values by the words for them, in lower case with single spaces."""
