import JSON
import Support
import Testing

/// How fast a list of 10,000 EndpointSlices is skimmed; the figures are in docs/dependencies.md.
@Suite(.enabled(if: TestFiles.environment("PORTICO_BENCH") != nil)) struct JSONBenchmark {
    private static func slice(_ number: Int) -> String {
        let endpoints = (0..<5).map { endpoint in
            #"{"addresses":["10.\#(number / 250).\#(number % 250).\#(endpoint)"],"conditions":{"ready":true,"#
                + #""serving":true,"terminating":false},"targetRef":{"kind":"Pod","namespace":"ns\#(number % 100)","#
                + #""name":"s\#(number)-\#(endpoint)","uid":"6d1f5b9c-8f7c-4d5e-9a53-0d7d5f0c0001"},"#
                + #""nodeName":"node-\#(number % 50)","zone":"z\#(number % 3)"}"#
        }.joined(separator: ",")
        let managed = (0..<12).map { #""f:field\#($0)":{".":{},"f:name":{},"f:port":{}}"# }.joined(separator: ",")
        return #"{"metadata":{"name":"s\#(number)-x","namespace":"ns\#(number % 100)","resourceVersion":"\#(number)","#
            + #""labels":{"kubernetes.io/service-name":"s\#(number)"},"managedFields":[{"manager":"controller","#
            + #""operation":"Update","fieldsV1":{\#(managed)}}]},"addressType":"IPv4","endpoints":[\#(endpoints)],"#
            + #""ports":[{"name":"grpc","port":8080,"protocol":"TCP"}]}"#
    }

    @Test func `a list of 10,000 EndpointSlices`() throws {
        let items = (0..<10_000).map(Self.slice).joined(separator: ",")
        let octets = Array(#"{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[\#(items)]}"#.utf8)
        var best = Duration.seconds(100)
        for _ in 0..<5 {
            var skim: ListSkim?
            best = min(best, try ContinuousClock().measure { skim = try ListSkim(octets) })
            #expect(skim?.items.count == 10_000)
        }
        let rate = Double(octets.count) / (Double(best.components.attoseconds) / 1e18) / 1e6
        print("JSON of 10,000 EndpointSlices: \(octets.count >> 20) MiB skimmed in \(best), \(Int(rate)) MB/s")
    }
}
