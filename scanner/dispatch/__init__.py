"""Brings targets to probes and evidence back, many at once, each within its deadline."""

from scanner.dispatch.local import LocalDispatcher
from scanner.dispatch.progress import Progress, Stage
from scanner.dispatch.workers import WorkerProcesses

__all__ = ["LocalDispatcher", "Progress", "Stage", "WorkerProcesses"]
