"""How to mend protocols, suites and groups on server programs other than those of the web, and in clouds.

Each line for a program that installs on Debian is proven by `tests/servers/test_remedies.py`: the mistake is made, the
line applied, the program started again, and the verdict has turned. Those of `scanner.rules.registry.servers.NOT_RUN`
are written from the documentation of their makers.
"""

from __future__ import annotations

from typing import Final

SUITES: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""Ephemeral key exchange and authenticated encryption alone, as OpenSSL writes them, for TLS 1.2."""
IANA_SUITES: Final = (
    "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,TLS_CHACHA20_POLY1305_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,"
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
)
"""The same with those of TLS 1.3, as IANA writes them, and as Java takes them."""
GROUPS: Final = "X25519:prime256v1:secp384r1"
"""Named groups, as OpenSSL writes them."""

_GO_SUITES: Final = " ".join(
    f"TLS_ECDHE_{key}_WITH_{cipher}"
    for cipher in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
    for key in ("ECDSA", "RSA")
)
_GO_LIST: Final = ", ".join(f"tls.{name}" for name in _GO_SUITES.split())
_PRIORITY_SUITES: Final = (
    "-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD"
)
_PRIORITY_GROUPS: Final = "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
PRIORITY: Final = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:{_PRIORITY_SUITES}:{_PRIORITY_GROUPS}"
"""One string of GnuTLS that says versions, suites and groups together."""
ONLY_TLS13_PRIORITY: Final = f"NORMAL:-VERS-ALL:+VERS-TLS1.3:{_PRIORITY_SUITES}:{_PRIORITY_GROUPS}"
_PRIORITY_ORDER: Final = f"{PRIORITY}:%SERVER_PRECEDENCE"

_EXIM_OPENSSL: Final = (
    "# built with OpenSSL instead (exim -bV says so; not run):\n"
    "# openssl_options = +no_sslv2 +no_sslv3 +no_tlsv1 +no_tlsv1_1"
)
_SLAPD_OPENSSL: Final = "# built with OpenSSL instead (not run): TLSProtocolMin 3.3"


def _gnutls(priority: str) -> dict[str, str]:
    """The programs that take a priority string."""
    return {
        "exim": f"# built with GnuTLS, as Debian's is\ntls_require_ciphers = {priority}\n{_EXIM_OPENSSL}",
        "openldap": f"# slapd.conf (olcTLSCipherSuite in cn=config), built with GnuTLS, as Debian's is\n"
        f"TLSCipherSuite {priority}\n{_SLAPD_OPENSSL}",
        "gnutls": f"# the priority string (gnutls-serv --priority, GnuTLSPriorities of mod_gnutls)\n{priority}",
    }


_GO_VERSIONS: Final = "&tls.Config{MinVersion: tls.VersionTLS12}"
_JAVA_PROTOCOLS: Final = "# Java 12 or newer\n-Djdk.tls.server.protocols=TLSv1.3,TLSv1.2"
_AWS: Final = (
    "# a load balancer's listener; in CloudFront: MinimumProtocolVersion TLSv1.2_2021\n"
    "aws elbv2 modify-listener --listener-arn ARN --ssl-policy ELBSecurityPolicy-TLS13-1-2-Res-2021-06"
)
_AZURE: Final = (
    "# Application Gateway; in App Service: az webapp config set --min-tls-version 1.2 …\n"
    "az network application-gateway ssl-policy set --resource-group GROUP --gateway-name GATEWAY \\\n"
    "  --policy-type Predefined --policy-name AppGwSslPolicy20220101S"
)
_GOOGLE: Final = (
    "gcloud compute ssl-policies create strict --profile RESTRICTED --min-tls-version 1.2\n"
    "gcloud compute target-https-proxies update PROXY --ssl-policy strict"
)
_CLOUDS: Final = {"aws": _AWS, "azure": _AZURE, "google cloud": _GOOGLE}

PROTOCOLS: Final = {
    "caddy": "# in the site; Caddy 2 has nothing older at all\ntls {\n    protocols tls1.2 tls1.3\n}",
    "dovecot": "# Dovecot 2.3 or newer\nssl_min_protocol = TLSv1.2",
    "postfix": "# Postfix 3.6 or newer; before: !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n"
    "smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2",
    "postgresql": "# PostgreSQL 12 or newer\nssl_min_protocol_version = 'TLSv1.2'",
    "mariadb": "# section [mariadb], 10.4.6 or newer\ntls_version = TLSv1.2,TLSv1.3",
    "lighttpd": '# 1.4.48 or newer\nssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2")',
    "squid": "https_port 443 tls-cert=/etc/squid/site.pem tls-min-version=1.2  # Squid 4 or newer",
    "stunnel": "; stunnel 5.50 or newer\nsslVersionMin = TLSv1.2",
    "redis": '# Redis 6 or newer\ntls-protocols "TLSv1.2 TLSv1.3"',
    "mosquitto": "# in the listener, 2.0 or newer: this one and newer ones\ntls_version tlsv1.2",
    **_gnutls(PRIORITY),
    "java": _JAVA_PROTOCOLS,
    "go": _GO_VERSIONS,
    **_CLOUDS,
    "kubernetes ingress": '# ConfigMap of ingress-nginx\nssl-protocols: "TLSv1.2 TLSv1.3"',
}
TLS13: Final = {
    "caddy": PROTOCOLS["caddy"],
    "postfix": PROTOCOLS["postfix"],
    "postgresql": "# PostgreSQL 12 or newer, with OpenSSL 1.1.1: no upper bound\nssl_max_protocol_version = ''",
    "mariadb": PROTOCOLS["mariadb"],
    "lighttpd": PROTOCOLS["lighttpd"],
    "stunnel": "; stunnel 5.50 or newer\nsslVersionMin = TLSv1.2\nsslVersionMax = TLSv1.3",
    "redis": PROTOCOLS["redis"],
    **_gnutls(PRIORITY),
    "java": _JAVA_PROTOCOLS,
    "go": "&tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}  // Go 1.14 or newer",
    **_CLOUDS,
    "kubernetes ingress": PROTOCOLS["kubernetes ingress"],
}
ONLY_TLS13: Final = {
    "caddy": "# in the site\ntls {\n    protocols tls1.3\n}",
    "dovecot": "# Dovecot 2.3 with OpenSSL 1.1.1 or newer\nssl_min_protocol = TLSv1.3",
    "postfix": "# Postfix 3.6 or newer\nsmtpd_tls_protocols = >=TLSv1.3\nsmtpd_tls_mandatory_protocols = >=TLSv1.3",
    "postgresql": "# PostgreSQL 12 or newer\nssl_min_protocol_version = 'TLSv1.3'",
    "mariadb": "# section [mariadb], 10.4.6 or newer\ntls_version = TLSv1.3",
    "lighttpd": '# 1.4.48 or newer\nssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.3")',
    "squid": "https_port 443 tls-cert=/etc/squid/site.pem tls-min-version=1.3  # Squid 4 or newer",
    "stunnel": "; stunnel 5.50 or newer\nsslVersionMin = TLSv1.3",
    "redis": '# Redis 6 or newer\ntls-protocols "TLSv1.3"',
    "mosquitto": "# in the listener, 2.0 or newer\ntls_version tlsv1.3",
    **_gnutls(ONLY_TLS13_PRIORITY),
    "java": "# Java 12 or newer\n-Djdk.tls.server.protocols=TLSv1.3",
    "go": "&tls.Config{MinVersion: tls.VersionTLS13}",
    "aws": "aws elbv2 modify-listener --listener-arn ARN --ssl-policy ELBSecurityPolicy-TLS13-1-3-2021-06",
    "kubernetes ingress": '# ConfigMap of ingress-nginx\nssl-protocols: "TLSv1.3"',
}
SUITE_LINES: Final = {
    "caddy": f"# in the site\ntls {{\n    ciphers {_GO_SUITES}\n}}",
    "dovecot": f"ssl_cipher_list = {SUITES}",
    "postfix": "# the default of both is medium, whose list has CBC and RSA key exchange\n"
    f"smtpd_tls_ciphers = high\nsmtpd_tls_mandatory_ciphers = high\ntls_high_cipherlist = {SUITES}",
    "postgresql": f"ssl_ciphers = '{SUITES}'",
    "mariadb": f"# section [mariadb]\nssl_cipher = {SUITES}",
    "lighttpd": f'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2", "CipherString" => "{SUITES}")',
    "squid": f"https_port 443 tls-cert=/etc/squid/site.pem tls-min-version=1.2 cipher={SUITES}",
    "stunnel": f"ciphers = {SUITES}",
    "redis": f"tls-ciphers {SUITES}",
    "mosquitto": f"# in the listener\nciphers {SUITES}",
    **_gnutls(PRIORITY),
    "java": f"# Java 9 or newer\n-Djdk.tls.server.cipherSuites={IANA_SUITES}",
    "go": f"&tls.Config{{CipherSuites: []uint16{{{_GO_LIST}}}}}",
    **_CLOUDS,
    "kubernetes ingress": f'# ConfigMap of ingress-nginx\nssl-ciphers: "{SUITES}"',
}
ORDER: Final = {
    "dovecot": "ssl_prefer_server_ciphers = yes  # Dovecot 2.4: ssl_server_prefer_ciphers = server",
    "postfix": "tls_preempt_cipherlist = yes",
    "postgresql": "ssl_prefer_server_ciphers = on",
    "lighttpd": 'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2", "Options" => "ServerPreference")',
    "squid": "https_port 443 tls-cert=/etc/squid/site.pem tls-min-version=1.2 options=CIPHER_SERVER_PREFERENCE",
    "stunnel": "options = CIPHER_SERVER_PREFERENCE",
    "redis": "tls-prefer-server-ciphers yes",
    **_gnutls(_PRIORITY_ORDER),
}
GROUP_LINES: Final = {
    "caddy": "# in the site\ntls {\n    curves x25519 secp256r1 secp384r1\n}",
    "dovecot": f"ssl_curve_list = {GROUPS}",
    "postfix": "# Postfix 3.2 or newer\ntls_eecdh_auto_curves = X25519 prime256v1 secp384r1",
    "postgresql": "# only one; since 18 ssl_groups = 'X25519:prime256v1'\nssl_ecdh_curve = 'prime256v1'",
    "lighttpd": f'ssl.openssl.ssl-conf-cmd = ("MinProtocol" => "TLSv1.2", "Groups" => "{GROUPS}")',
    "stunnel": "; stunnel 5.50 or newer\ncurves = X25519:P-256:P-384",
    **_gnutls(PRIORITY),
    "java": "-Djdk.tls.namedGroups=x25519,secp256r1,secp384r1",
    "go": "&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}}",
    "kubernetes ingress": f'# ConfigMap of ingress-nginx\nssl-ecdh-curve: "{GROUPS}"',
}
DIFFIE_HELLMAN: Final = {key: line for key, line in SUITE_LINES.items() if key not in {"caddy", "go"}}
"""Without the DHE suites; Go has none."""
POST_QUANTUM: Final = {
    "go": "&tls.Config{}  // Go 1.24 or newer: first by default, while CurvePreferences is empty",
    "caddy": "# Caddy 2.10 or newer: first by default, while curves is not set",
    "aws": "aws elbv2 modify-listener --listener-arn ARN --ssl-policy ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
}
