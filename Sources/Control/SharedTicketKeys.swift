internal import Manifests
internal import Octets
internal import Reactor
internal import TLS

/// Reads the file of the keys of session tickets, on the loader's thread. A broken file changes nothing.
struct SharedTicketKeys {
    /// What is wrong with the file.
    private(set) var diagnostics: [Diagnostic] = []
    /// The file as it was just before it was read, to be watched.
    private(set) var stamps: [String: FileStamp?] = [:]

    /// - Parameter path: the file; nil: there is none.
    init(_ path: String?) {
        guard let path else { return }
        stamps[path] = .some(FileStamp(path))
        do throws(FileContents.Failure) {
            let text = try FileContents.readSecret(path, limitOctets: TicketKeyFile.mostOctets)
            defer { text.forget() }
            let failure = text.withOctets { octets -> TicketKeyFile.Failure? in
                do throws(TicketKeyFile.Failure) {
                    try TicketKeyFile.use(octets)
                    return nil
                } catch {
                    return error
                }
            }
            if let failure = failure ?? nil {
                report("\(path): \(failure)", SourcePlace(file: path, line: failure.line, column: 1))
            }
        } catch {
            report("\(error)", SourcePlace(file: path, line: 1, column: 1))
        }
    }

    private mutating func report(_ sentence: String, _ place: SourcePlace) {
        diagnostics.append(
            Diagnostic(
                .error, "ticket-keys", "\(sentence): the keys of session tickets stay as they were",
                hint: "each line is a key, as `openssl rand -base64 80 | tr -d '\\n'` writes it", at: place))
    }
}
