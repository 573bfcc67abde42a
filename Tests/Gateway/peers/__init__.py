"""The peers of a gateway under test: clients and servers whose every octet a test controls."""
