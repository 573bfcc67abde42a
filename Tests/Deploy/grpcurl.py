"""In grpcurl's place where there is none: the flags of docs/tutorial.md, for hello.HelloService/SayHello.

The real grpcurl learns the messages by reflection; here they are known.
"""

import argparse
import json
import sys

import grpc

parser = argparse.ArgumentParser(prog="grpcurl", allow_abbrev=False)
parser.add_argument("-plaintext", action="store_true")
parser.add_argument("-cacert")
parser.add_argument("-authority")
parser.add_argument("-d", required=True)
parser.add_argument("target")
parser.add_argument("method", choices=["hello.HelloService/SayHello"])
given = parser.parse_args()

greeting = json.loads(given.d)["greeting"].encode()
assert len(greeting) < 128
if given.plaintext:
    channel = grpc.insecure_channel(given.target)
else:
    options = [("grpc.ssl_target_name_override", given.authority)] if given.authority else []
    with open(given.cacert, "rb") as file:
        channel = grpc.secure_channel(given.target, grpc.ssl_channel_credentials(file.read()), options)
with channel:
    call = channel.unary_unary("/" + given.method)
    try:
        octets = call(bytes([0x0A, len(greeting)]) + greeting, timeout=10)
    except grpc.RpcError as error:
        print(f"ERROR:\n  Code: {error.code().name}\n  Message: {error.details()}", file=sys.stderr)
        sys.exit(64 + error.code().value[0])
assert octets[0] == 0x0A and octets[1] == len(octets) - 2 < 128
print(json.dumps({"reply": octets[2:].decode()}, indent=2))
