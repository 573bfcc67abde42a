/// How much a turn of a worker does for one socket before the others have theirs. An operator has no flags for these;
/// tests lower them.
package struct TurnLimits: Sendable {
    /// Reads of a connection, of `Connections.inputOctets` each: a window of 64 KiB with its frame headers at a time.
    package var mostReads = 4
    /// Writes to a connection, of `ConnectionOutput.octetsPerWrite` each.
    package var mostWrites = 8
    /// Reads of a side of a relay, of `Relays.inputOctets` or a pipe each.
    package var mostRelayReads = 4
    /// Turns of accepting at a listener's end: with `Listeners.acceptsPerTurn` they take four times what the kernel
    /// lets in, which is 4,096.
    package var mostLastAccepts = 1024

    /// The numbers of docs/limits.md.
    package init() {}
}
