import JSON
import Manifests
import Octets
import Routing

@testable import Control
@testable import Kubernetes

/// What an API server answers, from the octets of its lists and watches to a compiled plan.
enum ClusterFuzz {
    private static let kinds = ClusterSource.kinds + [.nodes]

    /// The first octet chooses a kind, the second one whether lists are streamed, and the sizes of the pieces of a
    /// watch. The rest are answers, with a 0 between two of them.
    static let feed: @Sendable ([UInt8]) -> Void = { octets in
        var supply = Supply(octets)
        let kind = kinds[supply.number(below: kinds.count)]
        let seed = supply.octet()
        var server = Server(kind, streamsLists: seed & 1 == 1, pieces: seed)
        for answer in supply.everything().split(separator: 0, omittingEmptySubsequences: false).prefix(32) {
            server.answer(answer)
        }
        server.load()
    }

    /// A server that gives these answers to a client, and the gateway behind that.
    private struct Server {
        private static let namespace = "default"
        private let kind: ResourceKind
        private var watch: ListWatch
        private var pieces: Pieces
        private let source = ClusterSource(defaultNamespace: Self.namespace)
        private var objects = ClusterObjects()
        private var delivered = 0
        /// Whether a list has begun and not ended.
        private var isListing = false

        init(_ kind: ResourceKind, streamsLists: Bool, pieces seed: UInt8) {
            self.kind = kind
            pieces = Pieces(seed: seed)
            watch = ListWatch(kind, namespace: nil, timing: WatchTiming(), seed: 1)
            watch.streamsLists = streamsLists
            send(.begin)
        }

        private mutating func send(_ input: WatchInput) {
            let actions = watch.handle(input, at: Moment(wall: 1_000_000, steady: 1_000_000))
            demand(actions.count < 16, "\(actions.count) actions at once")
            let events = actions.compactMap { action in
                if case .deliver(let event) = action { event } else { nil }
            }
            for case .page(_, _, let objects, let isFirst, let isLast) in events {
                demand(isFirst || isListing, "a page without the one before")
                isListing = !isLast
                delivered += objects.count
                if isFirst, isLast { takeTwice(objects) }
            }
            delivered += events.count { if case .changed = $0 { true } else { false } }
            source.receive(events)
        }

        /// An object that comes again is no change, whatever it is.
        private mutating func takeTwice(_ objects: [[UInt8]]) {
            let reader = ClusterReader(defaultNamespace: Self.namespace)
            let names = objects.compactMap { reader.read(kind: kind.kind, $0).identity }
            guard Set(names).count == objects.count else { return }
            let page = ResourceEvent.page(kind, namespace: nil, objects, isFirst: true, isLast: true)
            source.receive([page])
            load()
            source.receive([page])
            let again = source.take()
            demand(again.touched.isEmpty, "the same list changes \(again.touched)")
        }

        mutating func answer(_ octets: ArraySlice<UInt8>) {
            // What is not an answer with objects is as it should be.
            for _ in 0..<4 {
                switch watch.phase {
                case .idle, .waiting: send(.timer)
                case .findingGroup: answer(#"{"versions":[{"version":"v1"}]}"#)
                case .findingVersion: answer(#"{"resources":[{"name":"\#(kind.plural)"}]}"#)
                case .listing, .verifying: return send(.answer(APIAnswer(status: 200, body: Array(octets))))
                case .streaming, .watching: return stream(octets)
                }
            }
        }

        private mutating func answer(_ text: String) {
            send(.answer(APIAnswer(status: 200, body: Array(text.utf8))))
        }

        private mutating func stream(_ octets: ArraySlice<UInt8>) {
            send(.opened)
            var lines = LineSplitter()
            var complete: [[UInt8]] = []
            for piece in pieces.cut(Array(octets), most: 64) {
                let isShort = piece.withOctets { octets in
                    lines.feed(octets) { line in
                        complete.append(line)
                        return true
                    }
                }
                demand(isShort, "a line of \(octets.count) octets is too long")
            }
            demand(!complete.contains { $0.isEmpty || $0.contains(0x0A) }, "no line")
            for line in complete { send(.line(line)) }
            send(lines.isWithinLine ? .failed(.connectionLost("reset")) : .ended)
        }

        /// What the gateway makes of what it has.
        mutating func load() {
            let known = source.status.kinds.filter { $0.name == kind.kind }.map(\.objects).max() ?? 0
            demand(known <= delivered, "\(known) objects of \(delivered)")
            objects.take(source.take())
            let joined = JoinedObjects(FileObjects(), objects)
            objects.settle()
            for problem in joined.problems.diagnostics {
                demand(problem.place.file.hasPrefix("kubernetes:"), "no place: \(problem.message)")
            }
            let plan = RoutingPlan.compile(joined.inventory, options: CompileOptions())
            demand(plan.routes.count < 100_000, "\(plan.routes.count) routes")
        }
    }
}
