package web

import (
	"net/url"
	"strings"
	"testing"
)

// Tags are put on a run and taken off it on its page, and lead to the runs that have them.
func TestRunTags(t *testing.T) {
	t.Parallel()
	s := newPipelineSite(t)
	tagged, other := s.push("steps:\n- bash: one\n"), s.push("steps:\n- bash: two\n")
	page, other1 := "/_build/results?buildId="+tagged.String(), "buildId="+other.String()+`"`
	change := func(do, tag string) {
		t.Helper()
		s.post("/_build/results", url.Values{"buildId": {tagged.String()}, "do": {do}, "tag": {tag}})
	}
	change("add-tag", " ready & ÜBER ")
	s.get(page, "ready &amp; ÜBER", `value="remove-tag"`, "/_build?tag=ready+%26+%C3%9CBER")
	if body := s.get("/_build?tag=ready+%26+%C3%9CBER", "buildId="+tagged.String(), "All runs"); strings.Contains(body[strings.Index(body, "All runs"):], other1) {
		t.Error("a run without the tag is listed")
	}
	change("remove-tag", "READY & ÜBER")
	if body := s.get(page); strings.Contains(body, "ready &amp;") {
		t.Error("the tag is still there")
	}
	s.get("/_build?tag=ready", "No run has this tag.")
}
