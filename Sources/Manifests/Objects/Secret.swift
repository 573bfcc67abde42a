package import Octets

/// A Secret, decoded. Source: Kubernetes `Secret`.
package struct Secret: Sendable {
    package let meta: ObjectMeta
    package var type: String?
    /// The values, decoded from Base64. Their octets are gone once `forget()` was called.
    package var data: [String: Located<SecretOctets>] = [:]
    /// Keys whose values could not be read, and which are missing in `data`.
    package var damaged: Set<String> = []

    /// Overwrites the values in memory. They keep their lengths, and their digests if these were made before.
    package func forget() { for value in data.values { value.value.forget() } }
}
