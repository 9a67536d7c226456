package slipway

// version is set when the program is linked, by -ldflags="-X slipway.version=...".
var version string

// Version is what `git describe` said of the source that the program was built from, or "unknown" if it was not built by make from a
// checkout of git.
func Version() string {
	if version == "" {
		return "unknown"
	}
	return version
}
