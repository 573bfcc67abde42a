/// An object that an error took out. Who refers to it is told so, and not that there is none.
package struct LeftOut: Sendable {
    package let identity: ObjectReference
    /// Of its first error.
    package let place: SourcePlace
    /// What it would have defined or spoken of: of a ServiceEntry, a DestinationRule or a VirtualService.
    package var hosts: [String] = []
    /// Of a VirtualService, as written.
    package var gateways: [String] = []
    package var exportTo: [String] = []
    /// Of a DestinationRule: what closes; to send without its policy would be to send without that.
    package var closings: [ClosingField] = []
}
