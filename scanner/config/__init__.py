"""The configuration: its files and lines, its form, what is inherited, and its sense.

`loading` reads it. A command that needs none of it, but a default or the form of one table, imports no more than that.
"""
