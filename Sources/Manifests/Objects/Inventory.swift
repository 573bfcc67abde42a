/// All good objects of a load, in the order of the files. No two have the same identity.
package struct Inventory: Sendable {
    package var gateways: [Gateway] = []
    package var virtualServices: [VirtualService] = []
    package var destinationRules: [DestinationRule] = []
    package var serviceEntries: [ServiceEntry] = []
    package var workloadEntries: [WorkloadEntry] = []
    package var services: [Service] = []
    package var endpointSlices: [EndpointSlice] = []
    package var endpoints: [Endpoints] = []
    package var pods: [Pod] = []
    package var secrets: [Secret] = []

    package init() {}
}
