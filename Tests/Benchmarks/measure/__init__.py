"""`make bench`: what a request costs Portico, and what it costs the peers, on the same work."""
