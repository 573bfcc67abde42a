"""Headers of the PROXY protocol, and clients that begin with one."""

import ipaddress
import socket
import struct

from peers import http1
from peers.frames import FramePeer

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT, BALANCER = ("192.0.2.7", 54321), ("198.51.100.1", 443)
CLIENT6, BALANCER6 = ("2001:db8::7", 54321), ("2001:db8::1", 443)


def v1(client=CLIENT, server=BALANCER):
    family = "TCP6" if ":" in client[0] else "TCP4"
    return f"PROXY {family} {client[0]} {server[0]} {client[1]} {server[1]}\r\n".encode()


def value(kind, octets):
    """One further value of version 2."""
    return struct.pack("!BH", kind, len(octets)) + octets


def v2(client=CLIENT, server=BALANCER, extras=b"", command=0x21, family=None):
    addresses = b"".join(ipaddress.ip_address(each[0]).packed for each in (client, server))
    body = addresses + struct.pack("!HH", client[1], server[1]) + extras
    family = family if family is not None else 0x11 if len(addresses) == 8 else 0x21
    return raw(body, command, family)


def raw(body=b"", command=0x21, family=0x11):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def crc32c(octets):
    sum = 0xFFFFFFFF
    for octet in octets:
        sum ^= octet
        for _ in range(8):
            sum = sum >> 1 ^ (0x82F63B78 if sum & 1 else 0)
    return sum ^ 0xFFFFFFFF


def v2_checked(**named):
    """A header with a checksum behind its addresses."""
    blank = v2(extras=value(3, bytes(4)), **named)
    return blank[:-4] + struct.pack("!I", crc32c(blank))


def dial(port, octets, address="127.0.0.1", source=None, pieces=False):
    """A socket on which these octets were sent first, one by one if `pieces`."""
    connection = socket.create_connection((address, port), 10, source and (source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in [octets[place:place + 1] for place in range(len(octets))] if pieces else [octets]:
        connection.sendall(part)
    return connection


def http1_client(port, header, context=None, server_name=None, **named):
    connection = dial(port, header, **named)
    if context:
        connection = context.wrap_socket(connection, server_hostname=server_name)
    return http1.Connection(connection)


def http2_client(port, header, context=None, server_name=None, **named):
    connection = dial(port, header, **named)
    if context:
        connection = context.wrap_socket(connection, server_hostname=server_name)
        assert connection.selected_alpn_protocol() == "h2"
    connection.settimeout(None)
    return FramePeer(connection, is_client=True)
