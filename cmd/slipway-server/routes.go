package main

import (
	"net/http"
	"strings"

	"slipway/internal/signing"
)

// doors are the handlers of each protocol that the one HTTP port speaks.
type doors struct {
	git       http.Handler // /{project}/_git/{repository}/info/refs and the two services
	registry  http.Handler // /v2/, /acr/v1/, /oauth2/, and what `docker search` asks
	telemetry http.Handler // /v1/traces, /v2/track, ...
	jobs      http.Handler // /_slipway/
	api       http.Handler // /_apis/, /{project}/_apis/, /.well-known/ and what clients of Sigstore ask for
	pages     http.Handler // everything else
}

// ServeHTTP chooses the door by the path. Paths are those that clients expect, and two protocols share /v2/: a track
// endpoint of Application Insights is not a registry's path, since those of the registry go on below it.
func (d doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	second, _, _ := strings.Cut(rest, "/")
	switch {
	case path == "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	case isTelemetry(path):
		d.telemetry.ServeHTTP(w, r)
	case first == "v2" || strings.HasPrefix(path, "/acr/v1/") || path == "/oauth2/token" || path == "/oauth2/exchange" || path == "/v1/search" || path == "/v1/_ping":
		d.registry.ServeHTTP(w, r)
	case first == "_slipway":
		d.jobs.ServeHTTP(w, r)
	case first == ".well-known" || path == signing.CertificatePath || path == signing.TimestampPath || strings.EqualFold(first, "_apis") || strings.EqualFold(second, "_apis"):
		d.api.ServeHTTP(w, r)
	case second == "_git" && isGit(path):
		d.git.ServeHTTP(w, r)
	default:
		d.pages.ServeHTTP(w, r)
	}
}

func isTelemetry(path string) bool {
	switch path {
	case "/v1/traces", "/v1/metrics", "/v1/logs", "/v2/track", "/v2.1/track":
		return true
	}
	return false
}

// isGit tells git's own paths from pages of the same repository.
func isGit(path string) bool {
	for _, suffix := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack", "/HEAD"} {
		if strings.HasSuffix(path, suffix) {
			return true
		}
	}
	return strings.Contains(path, "/objects/") || strings.Contains(path, "/info/lfs")
}
