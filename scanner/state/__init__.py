"""What the service must remember when it is killed: one SQLite file."""

VERSION = 4
"""That of the file's form.

2: alarms are of endpoints, where they were of targets. 3: alarms tell when each failing address was last looked at.
4: a message may wait for the reports that it takes along, and a start may have told receivers and not have ended.
"""
