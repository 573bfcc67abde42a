import Glibc
import HTTP
import Telemetry
import Reactor
import Synchronization
import TLS
import Testing

@testable import Balancing

@Suite struct `The metrics` {
    /// The values by series.
    private func values(_ metrics: Metrics) -> [Substring: Substring] {
        let lines = metrics.render().split(separator: "\n").filter { !$0.hasPrefix("#") }
        let pairs = lines.compactMap { line in
            line.lastIndex(of: " ").map { (line[..<$0], line[line.index(after: $0)...]) }
        }
        return Dictionary(pairs) { first, _ in first }
    }

    @Test func `count requests by route, status and gRPC status`() {
        let metrics = Metrics(version: "1.2.3")
        let worker = metrics.addWorker()
        let route = metrics.routeID(named: "default/main/0")
        #expect(route == metrics.routeID(named: "default/main/0"))
        for _ in 0..<3 { worker.requestStarted() }
        worker.requestEnded(route: route, status: 200, grpcStatus: 0, durationNanoseconds: 400_000)
        worker.requestEnded(route: Metrics.noRoute, status: 404, grpcStatus: -1, durationNanoseconds: 90_000_000_000)
        let values = values(metrics)
        let labels: Substring = #"{route="default/main/0",code="200",grpc_status="0"}"#
        #expect(values["portico_requests_total" + labels] == "1")
        #expect(values[#"portico_requests_total{route="-",code="404",grpc_status=""}"#] == "1")
        #expect(values["portico_requests_active"] == "1")
        let name: Substring = "portico_request_duration_seconds"
        #expect(values[name + #"_bucket{route="default/main/0",le="0.0005"}"#] == "1")
        #expect(values[name + #"_bucket{route="-",le="60"}"#] == "0")
        #expect(values[name + #"_bucket{route="-",le="+Inf"}"#] == "1")
        #expect(values[name + #"_count{route="-"}"#] == "1")
        #expect(values[name + #"_sum{route="-"}"#] == "90.0")
        #expect(values[#"portico_build_info{version="1.2.3"}"#] == "1")
    }

    @Test func `add the control plane's limits to those of the workers`() {
        let metrics = Metrics(version: "")
        metrics.addWorker().reached(.hashTablePlaces)
        metrics.reached(.hashTablePlaces)
        let values = values(metrics)
        #expect(values[#"portico_limit_reached_total{limit="hash_table_places"}"#] == "2")
        #expect(values[#"portico_limit_reached_total{limit="client_certificate"}"#] == "0")
    }

    @Test func `have a label of its own for each limit, in words that stay`() {
        let labels = ReachedLimit.allCases.map(\.label)
        #expect(Set(labels).count == labels.count)
        #expect(ReachedLimit.keepalive.label == "keepalive" && ReachedLimit.memory.label == "memory")
        #expect(ReachedLimit.clusterPendingRequests.label == "cluster_pending_requests")
        #expect(ReachedLimit.relayIdleTimeout.label == "relay_idle_timeout")
    }

    @Test func `put an unusual status into one series`() {
        let metrics = Metrics(version: "")
        let worker = metrics.addWorker()
        for status in [-1, 1, 99, 600, .max, .min] {
            worker.requestEnded(route: -3, status: status, grpcStatus: status, durationNanoseconds: 0)
        }
        worker.requestEnded(route: 0, status: 0, grpcStatus: 17, durationNanoseconds: .max)
        let values = values(metrics)
        #expect(values[#"portico_requests_total{route="other",code="other",grpc_status="other"}"#] == "4")
        #expect(values[#"portico_requests_total{route="-",code="0",grpc_status="other"}"#] == "1")
    }

    @Test func `have one series of each name, whatever name a rule chooses`() {
        let metrics = Metrics(version: "")
        let worker = metrics.addWorker()
        for name in ["-", "other"] {
            worker.requestEnded(
                route: metrics.routeID(named: name), status: 200, grpcStatus: -1, durationNanoseconds: 1)
        }
        worker.requestEnded(route: Metrics.noRoute, status: 200, grpcStatus: -1, durationNanoseconds: 1)
        let series = metrics.render().split(separator: "\n").filter { $0.hasPrefix("portico_requests_total{") }
        #expect(series.count == 2)
        #expect(values(metrics)[#"portico_requests_total{route="-",code="200",grpc_status=""}"#] == "2")
    }

    /// `total` series of each worker, more than fit into its table.
    @Test func `share one series beyond the limits`() {
        let metrics = Metrics(version: "", routeLimit: 5000)
        let worker = metrics.addWorker()
        for number in 0..<6000 {
            let route = metrics.routeID(named: "r\(number)")
            #expect((route == Metrics.otherRoute) == (number >= 5000))
            for status in 200..<205 {
                worker.requestEnded(route: route, status: status, grpcStatus: -1, durationNanoseconds: 1)
            }
        }
        let series = metrics.render().split(separator: "\n").filter { $0.hasPrefix("portico_requests_total{") }
        #expect(series.count == 20_001)
        #expect(series.reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) } == 30_000)
    }

    @Test func `of relayed connections share one series beyond the limits, too`() {
        let metrics = Metrics(version: "", routeLimit: 20_000)
        let worker = metrics.addWorker()
        for number in 0..<10_500 {
            let route = metrics.routeID(named: "r\(number)")
            worker.relayStarted()
            worker.relayed(1, isUp: true, route: route)
            worker.relayEnded(route: route, flag: .none)
        }
        let lines = metrics.render().split(separator: "\n")
        func counts(_ name: String) -> [Int] {
            lines.filter { $0.hasPrefix("\(name){") }.map { Int($0.split(separator: " ").last ?? "") ?? 0 }
        }
        let (ended, octets) = (counts("portico_relays_total"), counts("portico_relay_bytes_total"))
        #expect(ended.count == 10_001 && ended.reduce(0, +) == 10_500)
        #expect(octets.count == 2 * 1_001 && octets.reduce(0, +) == 10_500)
    }

    @Test func `sum exactly what two threads count while a third one reads`() throws {
        let metrics = Metrics(version: "")
        let routes = (0..<200).map { metrics.routeID(named: "route \($0)") }
        let rounds = 100
        let ended = try Mailbox<Int>()
        for _ in 0..<2 {
            let worker = metrics.addWorker()
            try Thread.start("counts") {
                for round in 0..<rounds {
                    for route in routes {
                        worker.requestStarted()
                        worker.requestEnded(
                            route: route, status: 200 + round % 3, grpcStatus: -1, durationNanoseconds: 1_000_000_000)
                    }
                    worker.connectionOpened(.upstream)
                    worker.retried(.connectionLost)
                }
                ended.post(1)
            }
        }
        var count = 0
        while count < 2 {
            count += ended.takeAll().count
            #expect(metrics.render().contains("portico_requests_active"))
        }
        let values = values(metrics)
        for (remainder, share) in [(0, 34), (1, 33), (2, 33)] {
            for route in 0..<200 {
                let labels: Substring = #"{route="route \#(route)",code="\#(200 + remainder)",grpc_status=""}"#
                #expect(values["portico_requests_total" + labels] == "\(2 * share)")
            }
        }
        #expect(values[#"portico_request_duration_seconds_sum{route="route 7"}"#] == "200.0")
        #expect(values["portico_requests_active"] == "0")
        #expect(values[#"portico_connections{side="upstream"}"#] == "200")
        #expect(values[#"portico_retries_total{reason="connection_lost"}"#] == "200")
    }

    @Test func `tell connections, failures and what the control plane knows`() {
        let metrics = Metrics(version: "1")
        let worker = metrics.addWorker()
        for _ in 0..<3 { worker.connectionOpened(.downstream) }
        worker.connectionClosed(.downstream)
        worker.upstreamConnectFailed(.refused)
        worker.refused(.handshake(.unknownServerName), .downstream)
        worker.refused(.http2(.path), .downstream)
        worker.refused(.http1(.syntax), .upstream)
        worker.refused(.connection(.acceptFailed), .downstream)
        worker.refused(.connection(.silent), .downstream)
        metrics.reloadEnded(.success)
        metrics.reloadEnded(.failure)
        metrics.setConfiguration(
            problems: [.init("error", 2), .init("warning", 0)], objects: [.init("active", 7), .init("rejected", 1)])
        let state = EndpointState(address: .ip("127.0.1.1", port: 50051), numbers: EndpointNumbers())
        let endpoint = Endpoint(state)
        for _ in 0..<4 { endpoint.began() }
        for _ in 0..<9 { worker.tried(endpoint: state.number) }
        let identity = ClusterIdentity(host: "b", port: 80, subset: "", policy: .random)
        metrics.setClusters([ClusterState(name: "a\"\\\nb", identity: identity, list: EndpointList([state]))])
        let values = values(metrics)
        let cluster = #"cluster="a\"\\\nb""#
        let expectations: [(Substring, Substring)] = [
            (#"portico_connections{side="downstream"}"#, "2"), (#"portico_connections{side="upstream"}"#, "0"),
            (#"portico_connections_total{side="downstream"}"#, "3"),
            (#"portico_upstream_connect_failures_total{reason="refused"}"#, "1"),
            (#"portico_upstream_connect_failures_total{reason="timed_out"}"#, "0"),
            ("portico_accept_failures_total", "1"),
            (#"portico_tls_handshake_failures_total{reason="unknown_server_name"}"#, "1"),
            (#"portico_tls_handshake_failures_total{reason="closed"}"#, "0"),
            (#"portico_protocol_errors_total{side="downstream",reason="http2.path"}"#, "1"),
            (#"portico_protocol_errors_total{side="upstream",reason="http2.path"}"#, "0"),
            (#"portico_protocol_errors_total{side="upstream",reason="http1.codec_error"}"#, "1"),
            (#"portico_connections_refused_total{reason="first_octets_timeout"}"#, "1"),
            (#"portico_reloads_total{result="success"}"#, "1"), (#"portico_reloads_total{result="failure"}"#, "1"),
            (#"portico_config_problems{severity="error"}"#, "2"), (#"portico_config_objects{state="rejected"}"#, "1"),
            ("portico_endpoints{\(cluster),state=\"ready\"}", "1"),
            ("portico_endpoint_active_requests{\(cluster),endpoint=\"127.0.1.1:50051\"}", "4"),
            ("portico_endpoint_requests_total{\(cluster),endpoint=\"127.0.1.1:50051\"}", "9"),
            ("portico_access_log_dropped_total", "0"), ("portico_workers", "1"),
        ]
        for (series, expected) in expectations { #expect(values[series] == expected, "\(series)") }
    }

    @Test func `tell what the process uses`() throws {
        let values = values(Metrics(version: ""))
        for name in [
            "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
            "process_start_time_seconds",
        ] {
            let number = try #require(values[Substring(name)].flatMap { Double($0) })
            #expect(number > 0, "\(name)")
        }
    }

    /// One line per series, one head per family, no series twice.
    @Test func `are Prometheus text`() {
        let metrics = Metrics(version: "1")
        let worker = metrics.addWorker()
        worker.requestEnded(route: 0, status: 200, grpcStatus: -1, durationNanoseconds: 5)
        var heads: Set<Substring> = []
        var series: Set<Substring> = []
        for line in metrics.render().split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("# TYPE") {
                #expect(heads.insert(words[2]).inserted, "\(line)")
            } else if !line.hasPrefix("# HELP") {
                #expect(words.count == 2 && Double(words[1]) != nil, "\(line)")
                #expect(series.insert(words[0]).inserted, "\(line)")
                #expect(heads.contains { words[0].hasPrefix($0) }, "\(line)")
            }
        }
    }
}

@Suite struct `Tries sent to endpoints` {
    private let metrics = Metrics(version: "test")

    @Test func `are counted by each worker and summed, by numbers however far apart`() {
        let workers = [metrics.addWorker(), metrics.addWorker()]
        for number in [0, 511, 512, 70_000] {
            #expect(metrics.tries(number: number) == 0)
            workers[0].tried(endpoint: number)
            workers[1].tried(endpoint: number)
            workers[1].tried(endpoint: number)
            #expect(metrics.tries(number: number) == 3)
        }
        #expect(metrics.tries(number: 1) == 0 && metrics.tries(number: 69_999) == 0)
    }

    @Test func `begin at nothing for an endpoint whose number another one had`() {
        let (worker, numbers) = (metrics.addWorker(), EndpointNumbers())
        var endpoint = EndpointState(address: .unix(path: "/a"), numbers: numbers) { metrics.tries(number: $0) }
        worker.tried(endpoint: endpoint.number)
        #expect(endpoint.number == 0 && metrics.tries(to: endpoint) == 1)
        endpoint = EndpointState(address: .unix(path: "/b"), numbers: numbers) { metrics.tries(number: $0) }
        #expect(endpoint.number == 1)    // the first one was there until now
        endpoint = EndpointState(address: .unix(path: "/c"), numbers: numbers) { metrics.tries(number: $0) }
        #expect(endpoint.number == 0 && metrics.tries(to: endpoint) == 0)
        worker.tried(endpoint: 0)
        #expect(metrics.tries(to: endpoint) == 1 && metrics.tries(number: 0) == 2)
    }
}
