internal import Octets
internal import Synchronization

/// One worker's counters by a small number, such as an endpoint's: a page for each run of numbers that are in
/// use. The worker finds them without a lock; the reader sees the pages through a lock that the worker takes
/// only when it adds one.
///
/// `Sendable` because the writer's field is touched by `counter(of:)` alone, which only the worker calls whose
/// `WorkerMetrics` owns it: readers have `MetricsReport`, which calls `value(of:)`.
///
/// Thread: its worker's writes, any reads. Freed by: its `WorkerMetrics`.
final class MetricsTable: @unchecked Sendable {
    private static let pageSize = 512

    private let shared = Lock<[MetricsPage?]>([])
    private var pages: [MetricsPage?] = []    // the writer's thread alone has it; the same pages

    /// The counter of a number, 0 or more. Writer's thread only.
    @inline(__always) func counter(of number: Int) -> MetricsCounter {
        let place = number / Self.pageSize
        if place < pages.count, let page = pages[place] { return page[number % Self.pageSize] }
        return add(place)[number % Self.pageSize]
    }

    /// 0 for a number that was never counted. Any thread.
    func value(of number: Int) -> UInt64 {
        let place = number / Self.pageSize
        let page = shared.withLock { $0.indices.contains(place) ? $0[place] : nil }
        return page?[number % Self.pageSize].value ?? 0
    }

    @inline(never) private func add(_ place: Int) -> MetricsPage {
        while pages.count <= place { pages.append(nil) }
        let page = MetricsPage(count: Self.pageSize)
        pages[place] = page
        shared.withLock { $0 = pages }
        return page
    }
}
