/// What was said since the last load of addresses that DNS gave and that nothing is sent to: each sentence once, and of
/// many some. A server of DNS may give other addresses with each answer.
struct RefusedAddressLog {
    /// Sentences between two loads.
    static let most = 100
    private var said: Set<String> = []
    private var isFull = false

    /// Those of the sentences that are to be said now, in order; behind the last one that may be, that there are more.
    mutating func new(of sentences: Set<String>) -> [String] {
        var news: [String] = []
        for sentence in sentences.subtracting(said).sorted() where !isFull {
            if said.count == Self.most {
                isFull = true
                news.append("further addresses that DNS gives and that are refused are not named until the next load")
            } else {
                said.insert(sentence)
                news.append(sentence)
            }
        }
        return news
    }
}
