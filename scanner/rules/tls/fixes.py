"""How to mend protocols, cipher suites and key exchanges, as configuration of common servers.

Lines are complete and in the place where they belong; each is for a version of the server that is maintained today.
"""

from __future__ import annotations

from typing import Final

from msgspec import structs

from scanner.rules.registry import Fix, Mistake, untried
from scanner.rules.tls import programs
from scanner.rules.tls.programs import GROUPS as _GROUPS
from scanner.rules.tls.programs import IANA_SUITES as _IANA_SUITES
from scanner.rules.tls.programs import SUITES as _SUITES

_APACHE_PROTOCOLS: Final = "SSLProtocol -all +TLSv1.2 +TLSv1.3"
_IIS_PROTOCOLS: Final = """\
# PowerShell as administrator, then restart; the same for "SSL 2.0", "SSL 3.0" and "TLS 1.0"
$key = 'HKLM:\\SYSTEM\\CurrentControlSet\\Control\\SecurityProviders\\SCHANNEL\\Protocols\\TLS 1.1\\Server'
New-Item $key -Force | Out-Null
Set-ItemProperty $key -Name Enabled -Value 0 -Type DWord
Set-ItemProperty $key -Name DisabledByDefault -Value 1 -Type DWord"""
_MANAGED: Final = (
    "The front ends are the provider's: ask for it by a support ticket. On a self-managed front end, follow iis."
)

PROTOCOLS: Final = Fix(
    "Let the server negotiate TLS 1.2 and TLS 1.3, and nothing older.",
    {
        "nginx": "ssl_protocols TLSv1.2 TLSv1.3;",
        "apache": _APACHE_PROTOCOLS,
        "iis": _IIS_PROTOCOLS,
        "haproxy": "# section global\nssl-default-bind-options ssl-min-ver TLSv1.2",
        "tomcat": '<SSLHostConfig protocols="TLSv1.2+TLSv1.3"> … </SSLHostConfig>',
        "node": "https.createServer({ minVersion: 'TLSv1.2', key, cert }, handler)",
        "load balancer": "Choose the TLS policy or client SSL profile whose lowest version is TLS 1.2.",
        "outsystems": _MANAGED,
        **programs.PROTOCOLS,
    },
)
TLS13: Final = Fix(
    "Let the server negotiate TLS 1.3: it needs OpenSSL 1.1.1, Windows Server 2022, Java 11 or newer.",
    {
        "nginx": "ssl_protocols TLSv1.2 TLSv1.3;",
        "apache": _APACHE_PROTOCOLS,
        "iis": "Windows Server 2022 and newer negotiate TLS 1.3 unless the registry switches it off.",
        "haproxy": "# section global\nssl-default-bind-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3",
        "tomcat": '<SSLHostConfig protocols="TLSv1.2+TLSv1.3"> … </SSLHostConfig>',
        "node": "https.createServer({ maxVersion: 'TLSv1.3', key, cert }, handler)",
        "load balancer": "Choose the TLS policy or client SSL profile that has TLS 1.3 beside TLS 1.2.",
        "outsystems": _MANAGED,
        **programs.TLS13,
    },
)
ONLY_TLS13: Final = Fix(
    "Let the server negotiate only TLS 1.3. Clients from before about 2018 will no longer reach it.",
    {
        "nginx": "ssl_protocols TLSv1.3;",
        "apache": "SSLProtocol -all +TLSv1.3",
        "haproxy": "# section global\nssl-default-bind-options ssl-min-ver TLSv1.3",
        "tomcat": '<SSLHostConfig protocols="TLSv1.3"> … </SSLHostConfig>',
        "node": "https.createServer({ minVersion: 'TLSv1.3', key, cert }, handler)",
        "iis": "On Windows Server 2022 and newer, switch TLS 1.2 off in the registry, as proto.no-tls1.1 does TLS 1.1.",
        "load balancer": "Choose the TLS policy or client SSL profile that allows only TLS 1.3.",
        "outsystems": _MANAGED,
        **programs.ONLY_TLS13,
    },
)
SUITES: Final = Fix(
    "Offer cipher suites with an ephemeral key exchange and authenticated encryption, and no others.",
    {
        "nginx": f"ssl_ciphers {_SUITES};",
        "apache": f"SSLCipherSuite {_SUITES}",
        "iis": "# PowerShell as administrator, for each suite to be dropped\n"
        "Disable-TlsCipherSuite -Name TLS_RSA_WITH_3DES_EDE_CBC_SHA",
        "haproxy": f"# section global\nssl-default-bind-ciphers {_SUITES}",
        "tomcat": f'<SSLHostConfig ciphers="{_IANA_SUITES}"> … </SSLHostConfig>',
        "node": f"https.createServer({{ ciphers: '{_SUITES}', key, cert }}, handler)",
        "load balancer": "Choose the cipher group whose suites all begin with ECDHE and hold GCM or CHACHA20.",
        "outsystems": _MANAGED,
        **programs.SUITE_LINES,
    },
)
ORDER: Final = Fix(
    "Let the order of the configuration decide which suite is used, or leave it to the client, as the policy says.",
    {
        "nginx": "ssl_prefer_server_ciphers on;  # off, where the client is to choose",
        "apache": "# off, where the client is to choose\nSSLHonorCipherOrder on",
        "iis": "# The order is that of Get-TlsCipherSuite; PowerShell as administrator, best suite last\n"
        "Enable-TlsCipherSuite -Name TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 -Position 0",
        "haproxy": "# section global; with prefer-client-ciphers, where the client is to choose\n"
        "ssl-default-bind-options ssl-min-ver TLSv1.2",
        "tomcat": '<SSLHostConfig honorCipherOrder="true"> … </SSLHostConfig>',
        "node": "https.createServer({ honorCipherOrder: true, key, cert }, handler)",
        **programs.ORDER,
    },
)
GROUPS: Final = Fix(
    "Offer the groups that the policy allows, and no others.",
    {
        "nginx": f"ssl_ecdh_curve {_GROUPS};",
        "apache": f"SSLOpenSSLConfCmd Groups {_GROUPS}",
        "iis": "# PowerShell as administrator\nGet-TlsEccCurve\nDisable-TlsEccCurve -Name brainpoolP256r1",
        "haproxy": f"# section global\nssl-default-bind-curves {_GROUPS}",
        "tomcat": "# setenv.sh\nCATALINA_OPTS='-Djdk.tls.namedGroups=x25519,secp256r1,secp384r1'",
        "node": f"https.createServer({{ ecdhCurve: '{_GROUPS}', key, cert }}, handler)",
        "load balancer": "Name the groups in the cipher rule (F5: DH Groups) that the client SSL profile uses.",
        "outsystems": _MANAGED,
        **programs.GROUP_LINES,
    },
)
DIFFIE_HELLMAN: Final = Fix(
    "Drop the DHE suites, which current clients do not need; or give them a group of 2048 bits or more from RFC 7919.",
    {
        "nginx": f"ssl_ciphers {_SUITES};  # without DHE; else: ssl_dhparam /etc/nginx/ffdhe3072.pem;",
        "apache": f"SSLCipherSuite {_SUITES}",
        "iis": "Disable-TlsCipherSuite -Name TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        "haproxy": "# section global\ntune.ssl.default-dh-param 3072",
        "tomcat": f'<SSLHostConfig ciphers="{_IANA_SUITES}"> … </SSLHostConfig>\n'
        "<!-- else, in setenv.sh: CATALINA_OPTS=-Djdk.tls.ephemeralDHKeySize=2048 -->",
        "node": f"https.createServer({{ ciphers: '{_SUITES}', key, cert }}, handler)",
        "load balancer": "Choose the cipher group whose suites all begin with ECDHE.",
        "outsystems": _MANAGED,
        **programs.DIFFIE_HELLMAN,
    },
)
POST_QUANTUM: Final = Fix(
    "Offer X25519MLKEM768 first: it needs OpenSSL 3.5 or newer (or a library of 2025), and TLS 1.3.",
    {
        "nginx": f"ssl_ecdh_curve X25519MLKEM768:{_GROUPS};",
        "apache": f"SSLOpenSSLConfCmd Groups X25519MLKEM768:{_GROUPS}",
        "haproxy": f"# section global\nssl-default-bind-curves X25519MLKEM768:{_GROUPS}",
        "node": f"https.createServer({{ ecdhCurve: 'X25519MLKEM768:{_GROUPS}', key, cert }}, handler)  // Node.js 24",
        **programs.POST_QUANTUM,
    },
)
COMPRESSION: Final = Fix(
    "Switch TLS compression off. Current libraries no longer have it: an old one is in use.",
    {
        "nginx": "# nginx has had no TLS compression since 1.3.2: update nginx and OpenSSL",
        "apache": "SSLCompression off",
        "haproxy": "# build against OpenSSL 1.1.0 or newer, which leaves compression out by default",
        "iis": "SCHANNEL has no TLS compression: something in front of it compresses.",
        "tomcat": "<!-- JSSE has no TLS compression: an old OpenSSL is in use by the native connector -->",
        "load balancer": "Switch SSL compression off in the client SSL profile, and update its software.",
    },
)
RENEGOTIATION: Final = Fix(
    "Let renegotiation be secure by RFC 5746, as OpenSSL 0.9.8m, GnuTLS 2.10, Java 6u22 and newer do: update what is "
    "older; where the library is newer, take out what allows the insecure form.",
    {
        "nginx": "# update OpenSSL: it has done so by itself since 0.9.8m",
        "apache": "SSLInsecureRenegotiation off",
        "iis": "Install the current updates of Windows: SCHANNEL knows RFC 5746 since 2010.",
        "haproxy": "# update OpenSSL: it has done so by itself since 0.9.8m",
        "tomcat": "# setenv.sh\nCATALINA_OPTS='-Dsun.security.ssl.allowUnsafeRenegotiation=false'",
        "load balancer": "In the client SSL profile: renegotiation off, or only secure (F5: Require Strict).",
        "openssl": "# openssl.cnf, in the section that system_default names: no UnsafeLegacyRenegotiation\n"
        "Options = NoRenegotiation",
        "gnutls": "# the priority string without %UNSAFE_RENEGOTIATION and %DISABLE_SAFE_RENEGOTIATION\n"
        f"{programs.PRIORITY}:%SAFE_RENEGOTIATION",
        "java": "# false is the default\n-Dsun.security.ssl.allowUnsafeRenegotiation=false",
    },
)
RENEGOTIATION_BY_CLIENTS: Final = Fix(
    "Let no client start a renegotiation; TLS 1.3 has none.",
    {
        "nginx": "# nginx has refused renegotiation by the client since 0.8.23: update nginx",
        "apache": "# httpd has refused renegotiation by the client since 2.2.15: update httpd",
        "iis": "# PowerShell as administrator\nNew-ItemProperty HKLM:\\SYSTEM\\CurrentControlSet\\Control\\"
        "SecurityProviders\\SCHANNEL -Name DisableRenegoOnServer -Value 1",
        "haproxy": "# HAProxy lets no client renegotiate: update it",
        "tomcat": "# setenv.sh\nCATALINA_OPTS='-Djdk.tls.rejectClientInitiatedRenegotiation=true'",
        "node": "tls.CLIENT_RENEG_LIMIT = 0",
        "load balancer": "In the client SSL profile: renegotiation off, or only secure (F5: Require Strict).",
        "openssl": "# openssl.cnf, in the section that system_default names\nOptions = NoRenegotiation",
        "gnutls": "# the program decides about renegotiation, not the priority string; TLS 1.3 has none\n"
        f"{programs.ONLY_TLS13_PRIORITY}",
        "java": "# Java 8 or newer\n-Djdk.tls.rejectClientInitiatedRenegotiation=true",
    },
)
MASTER_SECRET: Final = Fix(
    "Let it be negotiated: OpenSSL 1.1.0, GnuTLS 3.4.4, Windows Server 2016, Java 8u161, Go 1.21 and newer do so by "
    "themselves. Update what is older; where the library is newer, a setting has switched it off.",
    {
        "nginx": "# remove -ExtendedMasterSecret from Options, there or in openssl.cnf\n"
        "ssl_conf_command Options ExtendedMasterSecret;",
        "apache": "# remove -ExtendedMasterSecret from Options, there or in openssl.cnf\n"
        "SSLOpenSSLConfCmd Options ExtendedMasterSecret",
        "openssl": "# openssl.cnf, in the section that system_default names: no -ExtendedMasterSecret\n"
        "Options = ExtendedMasterSecret",
        "gnutls": f"# the priority string without %NO_SESSION_HASH\n{programs.PRIORITY}",
        "java": "# true is the default\n-Djdk.tls.useExtendedMasterSecret=true",
        "iis": "Do not set DisableServerExtendedMasterSecret in the SCHANNEL registry key.",
    },
)
FALLBACK: Final = Fix(
    "Offer one protocol version, or TLS 1.3, whose handshake protects the version by itself; else update the library.",
    PROTOCOLS.servers,
)
SIGNATURES: Final = Fix(
    "Let the handshake be signed with SHA-256 or better.",
    {
        "nginx": "ssl_conf_command SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384;",
        "apache": "SSLOpenSSLConfCmd SignatureAlgorithms ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384",
        "haproxy": "# section global, HAProxy 2.8 or newer\n"
        "ssl-default-bind-sigalgs ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256",
        "tomcat": "# setenv.sh, Java 16 or newer\n"
        "CATALINA_OPTS='-Djdk.tls.server.SignatureSchemes=ecdsa_secp256r1_sha256,rsa_pss_rsae_sha256'",
        "node": "https.createServer({ sigalgs: 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256', key, cert }, handler)",
    },
)
EARLY_DATA: Final = Fix(
    "Switch early data off, unless every request that may come in it can be repeated without harm.",
    {
        "nginx": "ssl_early_data off;",
        "haproxy": "bind :443 ssl crt /etc/haproxy/site.pem  # without allow-0rtt",
        "load balancer": "Switch 0-RTT off in the settings of the content delivery network.",
    },
)
UPDATE: Final = Fix(
    "Update the TLS library, restart every process that uses it, and replace the key and certificate if it leaked.",
    {
        "debian": "apt-get update && apt-get install --only-upgrade openssl libssl3 && needrestart",
        "red hat": "dnf upgrade openssl-libs && needs-restarting",
    },
)
ROBOT: Final = Fix(
    "Drop the suites with RSA key transport (TLS_RSA_…): no ROBOT is possible without them. Update the library too.",
    SUITES.servers,
)

# What the advice was shown to mend. OpenSSL takes what is weak in any way at its lowest security level alone.
_DHE: Final = "DHE+AESGCM:ECDHE+AESGCM:@SECLEVEL=0"
_BAD: Final = "ECDHE+AESGCM:AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:AES128-SHA:NULL-MD5:AECDH-AES128-SHA:@SECLEVEL=0"
_NEVER: Final = "httpd adds !aNULL:!eNULL to whatever is configured, so the mistake cannot be made"
_NO_LIBRARY: Final = "the mistake needs a library that has what OpenSSL 3 has no more; the advice is that of "
_NO_CODE: Final = "the mistake is a defect of an old library, which no directive brings back; the advice is that of "
_SECURE_BY_ITSELF: Final = "OpenSSL 3 has it always; nginx has no directive for it"

OLD_PROTOCOLS: Final = Mistake(
    "ssl_protocols TLSv1 TLSv1.1 TLSv1.2;\nssl_ciphers ALL:@SECLEVEL=0;",
    "SSLProtocol -all +TLSv1 +TLSv1.1 +TLSv1.2\nSSLCipherSuite ALL:@SECLEVEL=0",
)
SSL: Final = untried(f"{_NO_LIBRARY}proto.no-tls1.0")
TOO_NEW: Final = Mistake("ssl_protocols TLSv1.3;", "SSLProtocol -all +TLSv1.3")
WITH_TLS12: Final = Mistake("ssl_protocols TLSv1.2 TLSv1.3;", "SSLProtocol -all +TLSv1.2 +TLSv1.3")
BAD_SUITES: Final = Mistake(
    f"ssl_protocols TLSv1.2;\nssl_ciphers {_BAD};\nssl_conf_command Options -EncryptThenMac;",
    f"SSLProtocol -all +TLSv1.2\nSSLCipherSuite {_BAD}\nSSLOpenSSLConfCmd Options -EncryptThenMac",
)
WORST_SUITES: Final = structs.replace(BAD_SUITES, apache=None, untried={"apache": _NEVER})
OLD_SUITES: Final = untried(f"{_NO_LIBRARY}cipher.allowed")
ANY_ORDER: Final = Mistake("ssl_prefer_server_ciphers off;", "SSLHonorCipherOrder off")
SMALL_CURVE: Final = Mistake(
    "ssl_ecdh_curve prime192v1:prime256v1;\nssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;\nssl_protocols TLSv1.2;",
    "SSLOpenSSLConfCmd Groups prime192v1:prime256v1\nSSLCipherSuite ECDHE+AESGCM:@SECLEVEL=0\n"
    "SSLProtocol -all +TLSv1.2",
)
SMALL_PRIME: Final = Mistake(
    f"ssl_ciphers {_DHE};\nssl_dhparam FOLDER/dh.pem;",
    # httpd reads them from the end of the certificate's file.
    f"SSLCipherSuite {_DHE}\nSSLCertificateFile FOLDER/with-dh.pem",
)
CLASSICAL_GROUPS: Final = untried(
    "its group needs OpenSSL 3.5, which neither is linked to here; it is shown with Node.js"
)
SHA1_SIGNATURES: Final = Mistake(
    "ssl_conf_command SignatureAlgorithms RSA+SHA1;\nssl_ciphers ECDHE+AESGCM:@SECLEVEL=0;\nssl_protocols TLSv1.2;",
    "SSLOpenSSLConfCmd SignatureAlgorithms RSA+SHA1\nSSLCipherSuite ECDHE+AESGCM:@SECLEVEL=0\n"
    "SSLProtocol -all +TLSv1.2",
)
WITHOUT_MASTER_SECRET: Final = Mistake(
    "ssl_protocols TLSv1.2;\nssl_conf_command Options -ExtendedMasterSecret;",
    "SSLProtocol -all +TLSv1.2\nSSLOpenSSLConfCmd Options -ExtendedMasterSecret",
)
EARLY: Final = Mistake("ssl_protocols TLSv1.2 TLSv1.3;\nssl_early_data on;\nssl_session_cache shared:fix:1m;")
COMPRESSED: Final = untried("OpenSSL 3 of Debian has no compression; nginx has no directive for it")
INSECURE_RENEGOTIATION: Final = untried(_SECURE_BY_ITSELF)
RENEGOTIATION_BY_CLIENT: Final = untried(
    "nginx and Apache httpd have refused renegotiation by the client for ten years"
)
PADDING_ORACLE: Final = untried(f"{_NO_CODE}cipher.allowed")
DOWNGRADE: Final = untried(f"{_NO_CODE}proto.no-tls1.0")
