internal import CLinux

/// Looks names up with the system's resolver. Look-ups block, so they are for threads of the control plane only.
package enum Resolver {
    /// The addresses of `host`, IPv4 and IPv6, sorted, without ports.
    /// - Throws: an error with the resolver's own message.
    package static func addresses(of host: String) throws(ResolverError) -> [String] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_family = AF_UNSPEC
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = Int32(AI_ADDRCONFIG)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = unsafe getaddrinfo(host, nil, &hints, &list)
        guard code == 0 else { throw unsafe ResolverError(host: host, reason: String(cString: gai_strerror(code))) }
        defer { unsafe freeaddrinfo(list) }
        var found: Set<String> = []
        var entry = unsafe list
        while let current = unsafe entry {
            if let address = unsafe address(of: current.pointee) { found.insert(address) }
            unsafe entry = current.pointee.ai_next
        }
        return found.sorted()
    }

    private static func address(of entry: addrinfo) -> String? {
        guard let source = unsafe entry.ai_addr else { return nil }
        var storage = sockaddr_storage()
        let length = unsafe min(Int(entry.ai_addrlen), MemoryLayout<sockaddr_storage>.size)
        unsafe withUnsafeMutableBytes(of: &storage) {
            unsafe $0.copyMemory(from: UnsafeRawBufferPointer(start: source, count: length))
        }
        return SocketAddress(storage, length: socklen_t(length))?.host
    }
}

/// A name that could not be looked up.
package struct ResolverError: Error, Sendable, CustomStringConvertible {
    package let host: String
    /// The resolver's own message.
    package let reason: String
    package var description: String { "cannot resolve \(host): \(reason)" }
}
