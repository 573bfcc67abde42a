internal import Octets

/// What a caller wants to be asked; `Call` has what has come of it.
struct APIRequest: Sendable {
    /// How the answer is taken.
    enum Form: Sendable, Equatable {
        /// As a whole, up to a number of octets.
        case whole(limit: Int)
        /// Line by line, if the status is 200.
        case lines
    }

    /// In capitals: GET, POST, PUT or PATCH.
    var method = "GET"
    /// With the query, escaped.
    var path: String
    var accept = AcceptedForm.json
    /// How the answer is handed over: whole, or line by line as it comes.
    var form = Form.whole(limit: APIRequest.mostOctets)
    /// Milliseconds without an octet of the answer, or for a whole answer until its end, after which it has failed.
    var silence: Int
    /// Whether `silence` begins before there is a connection.
    var isTimedFromStart = false
    var body: [UInt8] = []
    /// Of the body; empty if there is none.
    var contentType = ""
    /// Whether no copy of the answer may be left behind. It then comes as `secretAnswer` or in `secretLine`s.
    var isSecret = false

    /// The most octets of an answer that is taken as a whole; a list is then asked for in smaller pages.
    static let mostOctets = 64 << 20
}

/// What a request becomes, in order: `opened`, lines and an end, or an answer, or a failure; and then nothing more.
enum CallEvent: Sendable {
    case opened
    case line([UInt8])
    case ended
    case answer(APIAnswer)
    /// In the place of the last two where the request is confidential; an answer has status 200.
    case secretLine(SecretOctets)
    case secretAnswer(SecretOctets)
    case failed(CallFailure)
}

/// The number of a request in hand.
typealias CallNumber = Int

/// A request in hand.
struct Call {
    var request: APIRequest
    /// The connection that carries it; nil while it waits for one.
    var connection: Int?
    var slot = -1
    var status: Int?
    var retryAfter: Int?
    private(set) var received: ReceivedAnswer
    /// Whether it has waited because too many answers are taken as a whole, which counts once.
    var hasWaited = false
    /// When the request went out, or the last octet came that counts for its `silence`.
    var aliveAt: Int64 = 0

    init(_ request: APIRequest) {
        self.request = request
        received = ReceivedAnswer(isSecret: request.isSecret)
    }

    /// Whether it lasts for as long as the server has lines for it.
    var isLasting: Bool { request.form == .lines }
    /// Whether lines are handed over as they come; the body of a refusal is taken whole.
    var isStreaming: Bool { isLasting && status == 200 }
    /// How many octets the answer may have.
    var limit: Int { if case .whole(let limit) = request.form { limit } else { Self.mostRefusalOctets } }
    /// Of an answer in the place of a watch.
    private static let mostRefusalOctets = 1 << 20

    /// Forgets what was received, so that the request can be made once more.
    mutating func restart() {
        connection = nil
        slot = -1
        status = nil
        retryAfter = nil
        received = ReceivedAnswer(isSecret: request.isSecret)
    }
}

/// What has come of an answer: it has one owner for as long as it grows, so that a secret can be overwritten.
///
/// Thread: its owner's. Freed by: the request that it answers.
final class ReceivedAnswer {
    private let isSecret: Bool
    private(set) var body: [UInt8] = []
    var lines = LineSplitter()

    init(isSecret: Bool) { self.isSecret = isSecret }

    deinit {
        guard isSecret else { return }
        body.wipe()
        lines.wipe()
    }

    /// Takes octets as they come.
    func append(_ octets: Octets) {
        if isSecret { body.append(wiping: octets) } else { body.append(octets) }
    }

    /// Takes the body, of which no copy is left here.
    func takeSecret() -> SecretOctets { SecretOctets(wiping: &body) }
}
