import Glibc
import Testing

/// A folder of one test's own; removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/portico-reactor-XXXXXX".utf8CString)
        let made = unsafe mkdtemp(&template)
        path = unsafe String(cString: try #require(made))
    }

    deinit {
        for name in ["s", "file", "large"] { _ = unsafe unlink(path + "/" + name) }
        _ = unsafe rmdir(path)
    }

    @discardableResult func write(_ text: String, to name: String) -> String {
        let whole = path + "/" + name
        guard let file = unsafe fopen(whole, "w") else { return whole }
        unsafe fputs(text, file)
        unsafe fclose(file)
        return whole
    }
}
