/// The steps of a request, in the order in which they run. `Exchange.perform` says which function each step is: one of
/// those below, which every request takes, or one of the policy that it runs (`Proxy/Policies`).
/// `Exchange.run` goes from one to the next. A step that needs something from elsewhere waits, and the course goes on
/// from there when it has come; meanwhile the client's body is held back (`ExchangeState.bodyCourse`).
enum Step: UInt8, CaseIterable, Sendable {
    /// Turns away what no route is asked for: CONNECT, `*`, upgrades, an authority or a path that is not valid.
    case admit
    /// Finds the rule for host and path.
    case match
    /// Holds a share of requests back, and answers a share of them, if the rule says so (`fault`).
    case fault
    /// Answers preflights, and notes whether the request's origin may use the answer (`corsPolicy`).
    case cors
    /// Answers by itself if the rule says so (`redirect`, `directResponse`).
    case respond
    /// Makes the path that the upstream gets (`rewrite.uri`, `rewrite.uriRegexRewrite`).
    case rewrite
    /// Draws one of the rule's destinations by weight.
    case choose
    /// Starts the deadline: the route's timeout, or the smaller `grpc-timeout` of the client.
    case startClock
    /// Has the host that the request names resolved, where its addresses are the endpoints (`resolution: DYNAMIC_DNS`).
    case resolve
    /// Has the cluster pick an endpoint: requests are balanced, not connections.
    case pick
    /// Takes a connection to that endpoint; waits while one is being made or while all are in use.
    case connect
    /// Sends this try's header section, and behind it what has come of the body.
    case send
    /// Waits for the upstream's final header section.
    case await
    /// Passes the answer, and what is left of the request, until the stream to the client is closed.
    case relay
    /// Counts the request and writes its line of the access log; the exchange is free again.
    case finish

    /// The step that runs after this one; nil behind the last one.
    var next: Step? { Step(rawValue: rawValue + 1) }
}

/// What runs after a step.
enum StepEnd: Equatable {
    /// The next step runs at once.
    case next
    /// The steps up to that one are skipped: they are those of policies, and the rule has none.
    case goOn(at: Step)
    /// This try has failed and another one is made: the course goes back to `pick`.
    case retry
    /// The course stands here until that has come.
    case wait(Wait)
    /// The gateway answers in the upstream's place.
    case answer(Situation)
}

/// What a step can wait for.
enum Wait: Equatable, Sendable {
    /// A connection that takes a stream.
    case connection
    /// The time that is let pass before the next try.
    case backOff
    /// The rule's delay.
    case delay
    /// The look-up of the host that the request names.
    case resolution
    /// The upstream's final header section.
    case headers
    /// The end of the stream to the client.
    case end
}
