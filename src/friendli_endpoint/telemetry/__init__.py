"""Telemetry of requests: metrics, traces and the access log.

The routes and the engine call it; it imports no other part of the endpoint except `generation`.
Users' text is kept only for the log, and only with `--log-prompts`.
"""

from friendli_endpoint.telemetry.metrics import CONTENT_TYPE, Metrics
from friendli_endpoint.telemetry.request_record import RequestRecord
from friendli_endpoint.telemetry.telemetry import Telemetry

__all__ = ["CONTENT_TYPE", "Metrics", "RequestRecord", "Telemetry"]
