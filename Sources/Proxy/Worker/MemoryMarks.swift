/// What the resident memory of the process means for its requests, between nothing and the ceiling. Pure.
struct MemoryMarks {
    /// How near the ceiling is. The fractions leave a worker room for what it reads until it looks again.
    enum Level: Int, Comparable {
        /// Below 80 %: nothing is done.
        case ample
        /// From 80 %: windows do not grow, and exchanges that stand still give up what they hold.
        case tight
        /// From 90 %: all exchanges give up what they hold, most first, until 80 % are reached.
        case short
        /// From 100 %: that was not enough. New requests are refused.
        case exhausted

        static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    /// Octets, above 0.
    let ceiling: Int

    /// How near the process is to its ceiling, by its resident octets.
    func level(resident: Int) -> Level {
        if resident >= ceiling { return .exhausted }
        if resident >= part(90) { return .short }
        return resident >= part(80) ? .tight : .ample
    }

    /// How many octets have to be given up; 0 at `ample`.
    func excess(resident: Int) -> Int {
        switch level(resident: resident) {
        case .ample: 0
        case .tight: resident - part(75)
        case .short, .exhausted: resident - part(80)
        }
    }

    private func part(_ percent: Int) -> Int { ceiling / 100 * percent }
}
