import Octets
import Testing

@Suite struct `The nearest name` {
    @Test(arguments: [
        ("timout", "timeout"), ("Timeout", "timeout"), ("credential_name", "credentialName"),
        ("prefx", "prefix"), ("hots", "host"),
    ])
    func `is found for a slip of the fingers`(slip: String, name: String) {
        #expect(
            NearestName.find(slip, among: ["timeout", "credentialName", "prefix", "host"]) == name)
    }

    @Test(arguments: ["", "x", "completely", "ab"])
    func `is none for a foreign word`(word: String) {
        #expect(NearestName.find(word, among: ["timeout", "credentialName", "prefix"]) == nil)
    }
}

@Suite struct `A day` {
    @Test(arguments: [
        (0, "1970-01-01"), (951_782_400, "2000-02-29"), (-1, "1969-12-31"), (4_102_444_800, "2100-01-01"),
        (-62_167_219_200, "0000-01-01"), (253_402_300_799, "9999-12-31"),
    ])
    func `is written as people do`(seconds: Int, day: String) {
        #expect(CivilDate(seconds: seconds).description == day)
    }

    @Test func `follows the one before, over a cycle of 400 years`() {
        var last = CivilDate(daysSince1970: -200_000)
        for number in -199_999..<(-199_999 + 146_097) {
            let next = CivilDate(daysSince1970: number)
            let isNextDay = next.year == last.year && next.month == last.month && next.day == last.day + 1
            let isNextMonth = next.day == 1 && next.month == last.month % 12 + 1 && last.day >= 28
            let isInYear = next.year == last.year + (next.month == 1 && next.day == 1 ? 1 : 0)
            #expect((isNextDay || isNextMonth) && isInYear, "\(last) \(next)")
            last = next
        }
    }
}
