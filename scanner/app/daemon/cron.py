"""When a schedule starts, under its former name: scripts outside of this project ask it by that."""

from scanner.service.cron import ScheduleTrigger

__all__ = ["ScheduleTrigger"]
