package import Octets

/// A request made of texts, for `explain`. Its octets live as long as it does.
///
/// `Sendable` because its memory is never written after `init`.
///
/// Thread: any. Freed by: the command.
@safe package final class TextRequest: RoutableRequest, @unchecked Sendable {
    /// With its query, in the normal form by which rules match.
    package let path: Octets
    /// Host and port as the client writes them; the route table takes the port off.
    package let authority: Octets
    /// As the client writes it: methods are compared with case.
    package let method: Octets
    /// Of the client's connection: `http` or `https`.
    package let scheme: Octets
    private let headers: [(name: Octets, value: Octets)]
    private let memory: [UnsafeMutableRawBufferPointer]    // owned; freed in `deinit`

    /// Makes a request.
    /// - Parameter headers: names, in any case, and values.
    package init(
        path: String, authority: String, method: String, scheme: String,
        headers: [(name: String, value: String)]
    ) {
        var memory: [UnsafeMutableRawBufferPointer] = unsafe []
        /// Octets of a text, which live as long as this object.
        func keep(_ text: String) -> Octets {
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: text.utf8.count, alignment: 1)
            unsafe copy.copyBytes(from: Array(text.utf8))
            unsafe memory.append(copy)
            return unsafe Octets(UnsafeRawBufferPointer(copy))
        }
        self.path = keep(path)
        self.authority = keep(authority)
        self.method = keep(method)
        self.scheme = keep(scheme)
        self.headers = headers.map { (keep($0.name.lowercased()), keep($0.value)) }
        unsafe self.memory = memory
    }

    deinit { unsafe memory.forEach { unsafe $0.deallocate() } }

    /// The value of the first field of that name in the same case; nil if there is none.
    package func firstHeader(_ name: Octets) -> Octets? { headers.first { $0.name == name }?.value }

    /// How many fields have that name; several values in one field count once.
    package func headerCount(_ name: Octets) -> Int { headers.count { $0.name == name } }

    /// Calls `body` with all values of a header, joined.
    package func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool {
        let values = headers.filter { $0.name == name }.map(\.value.array)
        return Array(values.joined(separator: HeaderJoint.of(name).array)).withOctets(body)
    }
}
