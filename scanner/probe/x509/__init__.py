"""Certificates, chains, staples and trust stores, read into evidence."""
