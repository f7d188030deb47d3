"""The configuration: its files and lines, its form, what is inherited, and its sense."""

from scanner.config.loading import DEFAULT_PATH, Config, load, parse, parse_rows

__all__ = ["DEFAULT_PATH", "Config", "load", "parse", "parse_rows"]
