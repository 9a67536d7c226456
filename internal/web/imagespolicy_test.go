package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The policy and its exceptions are set on their page, and an exception is shown with the finding.
func TestScanPolicy(t *testing.T) {
	t.Parallel()
	s, ctx := newOriginSite(t), context.Background()
	if err := s.scans.Want(ctx, s.repo.Project, s.repo.Name, s.image); err != nil {
		t.Fatal(err)
	}
	if more, err := s.scans.Next(ctx); !more || err != nil {
		t.Fatalf("%v, %v", more, err)
	}
	s.get("/_images", "/Shop/_vulnerabilities")
	s.get("/_vulnerabilities", "There is no exception", `<option value="" selected>nothing</option>`)
	send := func(status int, values url.Values) {
		t.Helper()
		a, err := (&http.Client{Transport: s.client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).PostForm(s.server.URL+"/Shop/_vulnerabilities", values)
		if err != nil {
			t.Fatal(err)
		}
		a.Body.Close()
		if a.StatusCode != status {
			t.Errorf("%v: %s, want %d", values, a.Status, status)
		}
	}
	send(http.StatusSeeOther, url.Values{"do": {"policy"}, "severity": {"high"}, "pushes": {"yes"}, "environments": {"production stag*"}})
	s.get("/_vulnerabilities", `<option value="high" selected>`, `value="production stag*"`)
	if p, err := s.scans.Policy(ctx, s.repo.Project); err != nil || p.Severity != "high" || p.Unfixed || !p.Pushes || len(p.Environments) != 2 {
		t.Errorf("policy %+v, %v", p, err)
	}
	s.get("/_packages?image=shop/web:1", "/Shop/_vulnerabilities?package=openssl&amp;vulnerability=DSA-1#accept", "format=cyclonedx")
	s.get("/_vulnerabilities?vulnerability=DSA-1&package=openssl", `name="vulnerability" value="DSA-1"`, `name="package" value="openssl"`)
	day := time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)
	send(http.StatusSeeOther, url.Values{"do": {"accept"}, "vulnerability": {"DSA-1"}, "package": {"openssl"}, "until": {day}, "reason": {"<never called>"}})
	s.get("/_vulnerabilities", "DSA-1", day, "&lt;never called&gt;")
	s.get("/_packages?image=shop/web:1", "up to "+day+": &lt;never called&gt;")
	send(http.StatusBadRequest, url.Values{"do": {"accept"}, "vulnerability": {"DSA-1"}, "until": {"tomorrow"}, "reason": {"x"}})
	send(http.StatusBadRequest, url.Values{"do": {"policy"}, "severity": {"grave"}})
	send(http.StatusBadRequest, url.Values{"do": {"nothing"}})
	send(http.StatusSeeOther, url.Values{"do": {"withdraw"}, "vulnerability": {"DSA-1"}, "package": {"openssl"}})
	if text := s.get("/_vulnerabilities"); strings.Contains(text, "DSA-1") {
		t.Error("the exception is still there")
	}
}
