"""Targets that are probed elsewhere: by workers in other networks, which connect out to a broker.

Celery carries the messages, JSON alone. What is here decides who is asked for what, and what of an answer counts.
"""
