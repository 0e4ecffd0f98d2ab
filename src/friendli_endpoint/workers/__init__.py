"""Worker processes that can be killed: bounded in CPU time and memory, replaced when they end."""

from friendli_endpoint.workers.fork_server import Handler, Setup
from friendli_endpoint.workers.pool import (
    WorkerCrashError,
    WorkerError,
    WorkerPool,
    WorkersBusyError,
    WorkerStartError,
    WorkerTimeoutError,
)

__all__ = [
    "Handler",
    "Setup",
    "WorkerCrashError",
    "WorkerError",
    "WorkerPool",
    "WorkerStartError",
    "WorkerTimeoutError",
    "WorkersBusyError",
]
