"""What can be seen of the endpoint from outside: metrics, traces, and a line in the log a request.

It is told what happens by those to whom it happens, and imports nothing of ours but
`generation.py`. What users write is no business of its own: a prompt is kept for the log only
where the operator asked for that.
"""

from friendli_endpoint.telemetry.metrics import CONTENT_TYPE, Metrics
from friendli_endpoint.telemetry.request_record import RequestRecord
from friendli_endpoint.telemetry.telemetry import Telemetry

__all__ = ["CONTENT_TYPE", "Metrics", "RequestRecord", "Telemetry"]
