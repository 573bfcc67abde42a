import FuzzTargets
import Glibc

/// libFuzzer's loop. Source: https://llvm.org/docs/LibFuzzer.html, Using libFuzzer as a library.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ feed: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// What the library that is linked asks for by name, too.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ octets: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    unsafe FuzzTarget.chosen?.feed(Array(UnsafeBufferPointer(start: octets, count: count)))
    return 0
}

guard FuzzTarget.chosen != nil else {
    print("PORTICO_FUZZ_TARGET is one of: " + FuzzTarget.all.map(\.name).joined(separator: ", "))
    exit(2)
}
var count = CommandLine.argc
var arguments = unsafe CommandLine.unsafeArgv
unsafe exit(runDriver(&count, &arguments, testOneInput))
