/// An object that was left out because of an error. A report on a reference to it says that, and not that the object
/// does not exist.
package struct LeftOut: Sendable {
    package let identity: ObjectReference
    /// The place of its first error.
    package let place: SourcePlace
    /// The hosts of a ServiceEntry, a DestinationRule or a VirtualService.
    package var hosts: [String] = []
    /// The Gateways of a VirtualService, as they are written.
    package var gateways: [String] = []
    package var exportTo: [String] = []
    /// The closing fields of a DestinationRule. Requests must not be sent without its policy.
    package var closings: [ClosingField] = []
    /// The fields of a DestinationRule by which connections would be encrypted. Without its policy, requests would be
    /// sent in clear text.
    package var protections: [ClosingField] = []

    /// Whether requests must not be sent without its policy.
    package var closes: Bool { !closings.isEmpty || !protections.isEmpty }
}
