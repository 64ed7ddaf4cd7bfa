"""Reads a trace of OpenTelemetry by the protocol's own definition, in which nothing unknown may stand, and prints its spans.

    otlp.py < TRACE.json
"""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def with_bytes(value):
    """Ids are hex in OTLP's JSON, and base64 in that of protobuf."""
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId", "spanId", "parentSpanId"}
    encode = lambda text: base64.b64encode(bytes.fromhex(text)).decode()
    return {name: encode(item) if name in ids else with_bytes(item) for name, item in value.items()}


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


request = json_format.ParseDict(with_bytes(json.load(sys.stdin)), ExportTraceServiceRequest(), ignore_unknown_fields=False)
[resource] = request.resource_spans
[scope] = resource.scope_spans
spans = []
for span in scope.spans:
    assert len(span.trace_id) == 16 and len(span.span_id) == 8, "ids have their lengths"
    spans.append(
        {
            "name": span.name,
            "id": span.span_id.hex(),
            "parent": span.parent_span_id.hex(),
            "trace": span.trace_id.hex(),
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "status": span.status.code,
            "attributes": attributes(span.attributes),
        }
    )
print(json.dumps({"resource": attributes(resource.resource.attributes), "spans": spans}))
