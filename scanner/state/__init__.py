"""What the service must remember when it is killed: one SQLite file."""
