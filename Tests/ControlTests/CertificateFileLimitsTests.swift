import Manifests
import Octets
import Support
import Testing

@testable import Control
@testable import TLS

@Suite struct `The files of certificates` {
    @Test func `are 64 MiB together at most, and those that were read before stay`() {
        let folder = TemporaryFolder()
        let names = (0...64).map { "\($0)" }
        #expect(folder.run("truncate -s 1M \(names.joined(separator: " "))"))
        let paths = names.map { "\(folder.path)/\($0)" }
        let files = CredentialFiles(of: paths)
        var sizes: [Int] = []
        for path in paths {
            if case .success(let contents)? = files[path] { sizes.append(contents.withOctets(\.count) ?? -1) }
        }
        #expect(sizes == Array(repeating: 1 << 20, count: 64))
        #expect(CredentialFiles.mostOctets == 64 << 20)
        var isLastRefused = false
        if case .failure? = files[paths[64]] { isLastRefused = true }
        #expect(isLastRefused)
    }

    @Test func `of ticket keys are refused beyond 16 KiB`() {
        let folder = TemporaryFolder()
        let path = folder.write("keys", String(repeating: "#\n", count: TicketKeyFile.mostOctets / 2))
        // It is read, and has no key.
        #expect(SharedTicketKeys(path).diagnostics.map(\.message.isEmpty) == [false])
        let said = SharedTicketKeys(path).diagnostics.map(\.message)
        folder.write("keys", String(repeating: "#\n", count: TicketKeyFile.mostOctets / 2) + "#")
        let saidOfMore = SharedTicketKeys(path).diagnostics.map(\.message)
        #expect(said != saidOfMore && saidOfMore.allSatisfy { $0.contains("16") }, "\(said) \(saidOfMore)")
    }
}
