import Octets
import Routing

/// A request made of texts; its octets live as long as it does.
@safe final class TestRequest: RoutableRequest, @unchecked Sendable {    // never written after init
    let path: Octets
    let authority: Octets
    let method: Octets
    let scheme: Octets
    /// Names in lower case.
    let texts: [(name: String, value: String)]
    private let headers: [(name: Octets, value: Octets)]
    private let memory: [UnsafeMutableRawBufferPointer]

    init(
        _ path: String, host: String = "a.com", method: String = "GET", scheme: String = "http",
        headers: [(String, String)] = []
    ) {
        var memory: [UnsafeMutableRawBufferPointer] = unsafe []
        func keep(_ text: String) -> Octets {
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: text.utf8.count, alignment: 1)
            unsafe copy.copyBytes(from: Array(text.utf8))
            unsafe memory.append(copy)
            return unsafe Octets(UnsafeRawBufferPointer(copy))
        }
        self.path = keep(path)
        authority = keep(host)
        self.method = keep(method)
        self.scheme = keep(scheme)
        texts = headers.map { ($0.0.lowercased(), $0.1) }
        self.headers = headers.map { (keep($0.0.lowercased()), keep($0.1)) }
        unsafe self.memory = memory
    }

    deinit { unsafe memory.forEach { unsafe $0.deallocate() } }

    func firstHeader(_ name: Octets) -> Octets? { headers.first { $0.name == name }?.value }

    func headerCount(_ name: Octets) -> Int { headers.count { $0.name == name } }

    func joinedHeader(_ name: Octets, _ body: (Octets) -> Bool) -> Bool {
        let values = headers.filter { $0.name == name }.map(\.value.string)
        let text = values.joined(separator: name == "cookie" ? "; " : ",")
        return unsafe Array(text.utf8).withUnsafeBytes { body(unsafe Octets($0)) }
    }
}
