"""What the service must remember when it is killed: one SQLite file."""

VERSION = 3
"""That of the file's form.

2: alarms are of endpoints, where they were of targets. 3: alarms tell when each failing address was last looked at.
"""
