"""Where Portico knowingly differs from Envoy, and why; each entry must really differ."""

WORDING = "the reason in the same words with and without a retry before it"
CODE_KEPT = "a reset passes on with the code it came with; Envoy always says INTERNAL_ERROR"
DEADLINE = "an expired deadline is DEADLINE_EXCEEDED, which clients do not retry blindly; Envoy says UNAVAILABLE"
JOINED = "a condition sees repeated lines joined by a comma, as Istio documents; Envoy 1.40 tries each line"
WEB_STATUS = "an answer of the gateway's own to gRPC-Web has HTTP status 200 and a grpc-status, as any gRPC caller's"
PARTS = "parts of the text form may each have padding, as the protocol says; Envoy refuses padding in the middle"
OLD_HEAD = "what is refused while it is read is answered in HTTP/1.1, to whatever version"
OLD_CHUNKS = "HTTP/1.0 has no chunks (RFC 9112 §6.1); Envoy reads them"
OLD_EMPTY = "an answer of the gateway's own says its length, so that the connection can stay"
OTHER_SERVER = "an authority of another server with the same TLS rules is routed; Envoy answers 404"

# case -> {what is compared: reason}
DIFFERENCES = {
    "http1 connection refused": {"body": WORDING},
    "http2 connection refused": {"body": WORDING},
    "tls http1 host of the other certificate": {
        key: OTHER_SERVER
        for key in ("status", "headers", "body", "seen", "seen body", "seen headers", "seen trailers")},
    "http1 header twice is joined": {
        key: JOINED for key in ("status", "headers", "body", "seen", "seen body", "seen headers", "seen trailers")},
    "grpc reset after the first message": {"reset": CODE_KEPT},
    "grpc-web text in parts with padding": {
        key: PARTS for key in ("status", "grpc-status", "messages", "trailers")},
    "grpc-web text that is no base64": {"status": WEB_STATUS},
    "grpc-web text that is cut": {"status": WEB_STATUS},
    "grpc-web no route": {"status": WEB_STATUS, "grpc-status": WEB_STATUS},
    "grpc-web no endpoint": {"status": WEB_STATUS},
    "http1.0 without a host": {"first": OLD_HEAD},
    "http1.0 with chunks": {"first": OLD_CHUNKS},
    "http1.0 local answer": {"connection": OLD_EMPTY},
    "grpc route timeout": {"grpc-status": DEADLINE, "headers": DEADLINE},
}

# Sentences about those that were met, for the end of the run.
explained = []
