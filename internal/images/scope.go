package images

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"sync"

	"slipway"
)

// plainID is a project's id that can stand in a scope's name.
var plainID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9-]{1,40}$`) })

// ProjectScope is where the builds of a project remember: those of code that has been accepted in one scope, and those of
// changes under review in another, which finds what the first one built and is never read by it.
func ProjectScope(project slipway.ProjectID, accepted bool) Scope {
	id := strings.ToLower(string(project))
	if !plainID().MatchString(id) {
		sum := sha256.Sum256([]byte(project))
		id = hex.EncodeToString(sum[:16])
	}
	s := Scope{Name: "p-" + id}
	if accepted {
		return s
	}
	return Scope{Name: s.Name + "-reviews", Reads: s.Name}
}

// ForkScope is where the builds of pull requests from forks remember: neither accepted code nor other changes under review read it.
func ForkScope(project slipway.ProjectID) Scope {
	accepted := ProjectScope(project, true)
	return Scope{Name: accepted.Name + "-forks", Reads: accepted.Name}
}
