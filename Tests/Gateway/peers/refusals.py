"""How often the gateway says that it refused something, by its reason."""

from peers import waiting


def failures(gateway, reason):
    return gateway.metric(rf'^portico_tls_handshake_failures_total{{reason="{reason}"}}')


def errors(gateway, reason, side="downstream"):
    return gateway.metric(rf'^portico_protocol_errors_total{{side="{side}",reason="{reason}"}}')


def counted(gateway, reason, before, count=failures):
    waiting.until(lambda: count(gateway, reason) == before + 1, 8, f"{reason} to be counted")
