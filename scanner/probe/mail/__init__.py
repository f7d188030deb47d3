"""What a mail domain says of its servers: MX, TLSA, MTA-STS, TLS-RPT."""
