"""Takes whatever comes on each connection, until its end, and then says how many octets that were: `sink.py PORT`."""

import socket
import sys
import threading


def take(connection):
    room, count = bytearray(1 << 18), 0
    with connection:
        while got := connection.recv_into(room):
            count += got
        connection.sendall(count.to_bytes(8, "big"))


def main():
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=take, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
