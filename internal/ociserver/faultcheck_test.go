package ociserver_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"slipway"
	"slipway/internal/registry"
)

// afterStart compares what the registry has with what it may have, and settles what was in doubt.
func (p *pusher) afterStart() {
	p.check.Helper()
	p.killBody = nil
	settle(p, p.blobs, func(content string) (bool, bool) { return p.has(p.repo()+"/blobs/", content) })
	settle(p, p.copies, func(content string) (bool, bool) { return p.has(p.second()+"/blobs/", content) })
	settle(p, p.manifests, func(content string) (bool, bool) { return p.has(p.repo()+"/manifests/", content) })
	settle(p, p.tags, func(tag string) (slipway.Digest, bool) {
		answer, _, err := p.send("GET", p.repo()+"/manifests/"+tag, nil)
		if err != nil || answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusNotFound {
			p.check.Errorf("get tag %s: %v, %v", tag, answer, err)
			return "", false
		}
		return slipway.Digest(answer.Header.Get("Docker-Content-Digest")), true
	})
	settle(p, p.fading, func(content string) (bool, bool) { return p.has(p.second()+"/manifests/", content) })
	settle(p, p.full, func(content string) (bool, bool) { return p.has(p.small()+"/blobs/", content) })
	p.fade()
	held := 0
	for content, is := range p.full {
		if is[0] {
			held += len(content)
		}
	}
	if held > fullQuota {
		p.check.Errorf("a repository with a quota of %d bytes holds %d", fullQuota, held)
	}
	for _, half := range p.halves {
		if half == "" || p.blobs[half] != nil {
			continue
		}
		if there, ok := p.has(p.repo()+"/blobs/", half); ok && there {
			p.check.Errorf("half a blob of %d bytes is there", len(half))
		}
	}
	p.resume()
}

// settle asks for each thing in doubt, or known, and keeps the answer.
func settle[K, T comparable](p *pusher, m map[K]maybe[T], ask func(K) (T, bool)) {
	p.check.Helper()
	for key, may := range m {
		is, ok := ask(key)
		if ok && !slices.Contains(may, is) {
			p.check.Errorf("%.60v is %v, want one of %v", key, is, may)
		}
		m[key] = maybe[T]{is}
	}
}

// has asks for a content under its digest, whose bytes must be the very same.
func (p *pusher) has(path, content string) (there, ok bool) {
	p.check.Helper()
	answer, got, err := p.send("GET", path+string(registry.DigestOf("sha256", []byte(content))), nil)
	switch {
	case err != nil:
		p.check.Errorf("get %s: %v", path, err)
		return false, false
	case answer.StatusCode == http.StatusNotFound:
		return false, true
	case answer.StatusCode != http.StatusOK || string(got) != content:
		p.check.Errorf("get %s: %s, %d bytes of %d", path, answer.Status, len(got), len(content))
		return false, false
	}
	return true, true
}

// resume goes on with the uploads under way and ends them.
func (p *pusher) resume() {
	p.check.Helper()
	for upload, may := range p.open {
		delete(p.open, upload)
		answer, _, err := p.send("GET", upload, nil)
		if err != nil || answer.StatusCode != http.StatusNoContent {
			p.check.Errorf("upload after the start: %v, %v", answer, err)
			continue
		}
		i := slices.IndexFunc(may, func(held string) bool {
			return answer.Header.Get("Range") == fmt.Sprintf("0-%d", max(len(held)-1, 0))
		})
		if i < 0 {
			p.check.Errorf("upload stands at %s, want one of %d possibilities", answer.Header.Get("Range"), len(may))
			continue
		}
		if slices.ContainsFunc(may, func(held string) bool { return len(held) == 1 }) { // which the header does not tell from nothing
			continue
		}
		content := may[i] + strings.Repeat("the rest ", 1+p.random.IntN(1000)) + upload
		if err := p.finish(upload, content, len(may[i])); err != nil {
			p.check.Errorf("end of an upload after the start: %v", err)
		}
	}
}
