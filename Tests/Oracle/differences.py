"""Where Portico knowingly differs from Envoy, and why; each entry must really differ."""

WORDING = "the reason in the same words with and without a retry before it"
CODE_KEPT = "a reset passes on with the code it came with; Envoy always says INTERNAL_ERROR"
DEADLINE = "an expired deadline is DEADLINE_EXCEEDED, which clients do not retry blindly; Envoy says UNAVAILABLE"
JOINED = "a condition sees repeated lines joined by a comma, as Istio documents; Envoy 1.40 tries each line"
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
    "grpc route timeout": {"grpc-status": DEADLINE, "headers": DEADLINE},
}

# Sentences about those that were met, for the end of the run.
explained = []
