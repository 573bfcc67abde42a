"""The one loop that accepts connections, for every peer that is an endpoint."""

import socket
import threading


class Listener:
    """Accepts connections and runs `serve(connection, number)` on each, in a thread of its own.

    `address` and `port` say where; `sockets` are the connections in the order of their coming, the first has number 1.
    A `serve` that returns, or ends by an error of the socket, leaves its connection open until `stop`.
    """

    def __init__(self, serve, address="127.0.0.1", port=0, receive_octets=None):
        self.listener = socket.create_server((address, port), backlog=512)
        if receive_octets:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
        self.address, self.port = self.listener.getsockname()
        self.serve, self.sockets = serve, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                served = self.admit(connection)
            except OSError:
                continue
            self.sockets.append(connection)
            threading.Thread(target=self._run, args=(served, len(self.sockets)), daemon=True).start()

    def admit(self, connection):
        """Runs before the next connection is accepted; what it returns is what `serve` gets."""
        return connection

    def _run(self, served, number):
        try:
            self.serve(served, number)
        except OSError:
            pass

    def stop(self):
        """Accepts no more and closes every connection."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.sockets:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
