internal import Balancing

// Decodes the load balancing of a DestinationRule. Source: Istio `LoadBalancerSettings`.

extension LoadBalancer {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        path = mapping.path
        let simpleField = mapping.field("simple")
        if let simpleField, let name = simpleField.name(of: BalancingName.self) {
            simple = mapping.located(name, simpleField)
            Self.comment(name, simpleField)
        }
        let hashField = mapping.field("consistentHash")
        consistentHash = hashField.flatMap(ConsistentHash.init)
        warmup = mapping.field("warmup").flatMap(Warmup.init)
        if let old = mapping.field("warmupDurationSecs") {
            old.warning(
                "deprecated", "`warmupDurationSecs` is an old form", hint: "use warmup.duration")
            if let duration = old.duration(), warmup == nil { warmup = Warmup(duration: duration) }
        }
        readLocality(&mapping)
        mapping.finish()
        if warmup != nil, consistentHash != nil || simple?.value.policy == .random {
            (mapping.field("warmup") ?? mapping.field("warmupDurationSecs"))?.warning(
                "no-effect", "a warm-up has no effect with \(consistentHash == nil ? "RANDOM" : "`consistentHash`")",
                hint: "it is for ROUND_ROBIN and LEAST_REQUEST")
        }
        if simpleField != nil, let hashField {
            hashField.error(
                "conflicting-fields", "`simple` and `consistentHash` exclude each other")
        }
    }

    private static func comment(_ name: BalancingName, _ value: Value) {
        let policy = name.policy.rawValue
        switch name.validity {
        case .current: break
        case .deprecated: value.warning("deprecated", "\(name.rawValue) is an old name", hint: "write \(policy)")
        case .meaningless:
            value.warning(
                "no-effect", "\(name.rawValue) means nothing at a gateway; \(policy) is used",
                hint: "write the policy that you want, such as ROUND_ROBIN")
        }
    }

    private mutating func readLocality(_ mapping: inout Mapping) {
        let written = mapping.field("localityLbSetting")
        locality = written.flatMap { LocalitySetting($0) }
        guard let zone = mapping.field("zoneAwareLbSetting") else { return }
        let setting = LocalitySetting(zoneAware: zone)
        if written == nil {
            locality = setting
        } else {
            zone.error("conflicting-fields", "`localityLbSetting` and `zoneAwareLbSetting` exclude each other")
        }
    }
}

extension LoadBalancer.ConsistentHash {
    init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        place = value.place
        var keys: [Key] = []
        if let name = mapping.string("httpHeaderName") { keys.append(.header(name)) }
        if let cookie = mapping.field("httpCookie") {
            if let cookie = LoadBalancer.Cookie(cookie) { keys.append(.cookie(cookie)) }
        }
        if mapping.bool("useSourceIp") == true { keys.append(.sourceAddress) }
        if let name = mapping.string("httpQueryParameterName") { keys.append(.queryParameter(name)) }
        let old = mapping.field("minimumRingSize")
        old?.warning(
            "deprecated", "`minimumRingSize` is an old form", hint: "use ringHash.minimumRingSize")
        minimumRingSize = old?.int(0...8_388_608)
        let ring = mapping.field("ringHash")
        if let ring, var inner = ring.mapping() {
            minimumRingSize = inner.int("minimumRingSize", 0...8_388_608) ?? minimumRingSize
            inner.finish()
        }
        let maglev = mapping.field("maglev")
        if let maglev, var inner = maglev.mapping() {
            if let size = inner.field("tableSize"), let number = size.int(1...5_000_010) {
                if !Self.isPrime(number) {
                    size.error("out-of-range", "\(number) is not a prime number")
                }
                maglevTableSize = number
            }
            inner.finish()
        }
        mapping.finish()
        if [old, ring, maglev].count(where: { $0 != nil }) > 1 {
            value.error(
                "conflicting-fields",
                "`ringHash`, `maglev` and `minimumRingSize` exclude each other")
        }
        if keys.count > 1 {
            value.error("conflicting-fields", "a hash has one key")
        }
        guard let key = keys.first else {
            value.warning(
                "no-effect", "without a key for the hash requests are spread at random",
                hint: "httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName")
            return nil
        }
        self.key = key
    }

    private static func isPrime(_ number: Int) -> Bool {
        guard number > 3 else { return number > 1 }
        var divisor = 2
        while divisor * divisor <= number {
            if number % divisor == 0 { return false }
            divisor += 1
        }
        return true
    }
}

extension LoadBalancer.Cookie {
    /// Of its path and attributes: browsers need to keep no more of a cookie. Source: RFC 6265 §6.1.
    private static let mostOctets = 4096

    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let field = mapping.require("name")
        path = mapping.string("path")
        ttl = mapping.duration("ttl", orZero: true)
        var names: Set<String> = []
        for entry in mapping.elements("attributes") {
            guard var inner = entry.mapping() else { continue }
            let name = inner.require("name")?.string()
            let text = inner.string("value") ?? ""
            inner.finish()
            guard let name else { continue }
            Self.check(name, text, entry)
            if name.isEmpty || !names.insert(name).inserted {
                entry.error("invalid-name", "attributes have names, each another")
            }
            attributes.append((name, text))
        }
        mapping.finish()
        let octets = attributes.reduce(path?.utf8.count ?? 0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        if octets > Self.mostOctets {
            value.error(
                "invalid-value", "the path and attributes of a cookie have at most \(Self.mostOctets) octets")
        }
        guard let field, let name = field.string() else { return nil }
        if name.isEmpty { field.error("missing-field", "a cookie needs a name") }
        Self.check(name, path ?? "", value)
        self.name = name
    }

    /// What stands in `set-cookie` must not end its part of it. Source: RFC 6265 §4.1.1.
    private static func check(_ name: String, _ text: String, _ value: Value) {
        let isToken = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"()<>@,;:\\\"/[]?={}".utf8.contains($0) }
        let isValue = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ";") }
        guard !isToken || !isValue else { return }
        value.error(
            "invalid-value", "a cookie cannot have this name, path or attribute",
            hint: "names are tokens of HTTP; values have no `;` and no control characters")
    }
}

extension LoadBalancer.Warmup {
    fileprivate init?(_ value: Value) {
        guard var mapping = value.mapping() else { return nil }
        let duration = mapping.require("duration")?.duration()
        minimumPercent = mapping.field("minimumPercent")?.double(0...100) ?? 10
        if let field = mapping.field("aggression"), let number = field.double(0...1_000_000) {
            if number == 0 { field.error("out-of-range", "0 is not above 0") }
            aggression = number
        }
        mapping.finish()
        guard let duration else { return nil }
        self.duration = duration
    }
}
