"""The one loop that accepts connections, for every peer that is an endpoint; and an endpoint that accepts none."""

import socket
import threading


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Listener:
    """Accepts connections and runs `serve(connection, number)` on each, in a thread of its own.

    `address` and `port` say where; `sockets` are the connections in the order of their coming, the first has number 1.
    A `serve` that returns, or ends by an error of the socket, leaves its connection open until `stop`.
    """

    def __init__(self, serve, address="127.0.0.1", port=0, receive_octets=None):
        self.listener = socket.create_server((address, port), family=family_of(address), backlog=512)
        if receive_octets:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_octets)
        self.address, self.port = self.listener.getsockname()[:2]
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


class FullQueue:
    """Listens, and its queue of connections is full: the kernel answers no further SYN, as a black hole does."""

    def __init__(self, address="127.0.0.1", port=0):
        self.family = family_of(address)
        self.listener = socket.socket(self.family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(0)
        self.address, self.port = self.listener.getsockname()[:2]
        self.fillers = []
        while self._fill():
            assert len(self.fillers) < 64, "the queue takes connections without an end"

    def _fill(self):
        """Whether one more connection was accepted by the kernel."""
        filler = socket.socket(self.family)
        filler.settimeout(0.3)
        self.fillers.append(filler)
        try:
            filler.connect((self.address, self.port))
        except TimeoutError:
            return False
        return True

    def drain(self):
        """Takes what waits in the queue, so that connections are accepted from now on."""
        self.listener.setblocking(False)
        try:
            while True:
                self.listener.accept()[0].close()
        except BlockingIOError:
            pass

    def stop(self):
        for filler in self.fillers:
            filler.close()
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
