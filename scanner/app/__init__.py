"""The command line and the daemon: the only place that sees both the scanner and the reports."""
