"""Who is told what: alarms, expiry, and the outbox in which messages wait."""
