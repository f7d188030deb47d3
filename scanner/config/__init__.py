"""The configuration: its files and lines, its form, what is inherited, and its sense."""

from scanner.config.loading import DEFAULT_PATH, Config, load, parse, parse_rows
from scanner.config.reading import load_to_read

__all__ = ["DEFAULT_PATH", "Config", "load", "load_to_read", "parse", "parse_rows"]
