package api_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/blob"
	"slipway/internal/clock"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

// fakeImages gives the scanner the name of an image instead of its content.
type fakeImages struct{}

func (fakeImages) Write(_ context.Context, _ string, d slipway.Digest, w io.Writer) error {
	_, err := io.WriteString(w, string(d))
	return err
}

func (fakeImages) KeepSBOM(context.Context, string, slipway.Digest, scans.Document, slipway.Actor) error {
	return nil
}

func (fakeImages) SBOM(_ context.Context, _ string, d slipway.Digest, kind string) ([]byte, error) {
	return []byte(kind + " of " + string(d)), nil
}

// fakeScanner answers what a scanner does: each image has a package of its own name.
const fakeScanner = `#!/bin/sh
case $1 in
inventory) echo '{"packages":[{"name":"openssl","version":"'"$(cat)"'","type":"deb"}]}';;
document) cat >/dev/null; echo '{"packages":[{"name":"zlib","version":"1","type":"generic"}]}';;
match) cat >/dev/null; echo '{"findings":[{"id":"A","severity":"high","fixed":"2"},{"id":"B","severity":"low","fixed":"2"}],"ecosystems":[{"name":"Debian"}]}';;
import) [ "$(cat)" = records ] || { echo "slipway-scanner: this is no zip" >&2; exit 1; }; echo '{"ecosystems":[{"name":"Debian","records":3}]}';;
esac
`

func TestScanRoutes(t *testing.T) {
	t.Parallel()
	ctx, d, logger := context.Background(), dbtest.SQLite(t), slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := events.Open(ctx, d, clock.System{}, logger)
	must(err)
	ids, err := identity.Open(ctx, d, log, clock.System{})
	must(err)
	project, err := ids.CreateProject(ctx, slipway.System, "Shop", "")
	must(err)
	blobs, err := blob.OpenFiles(t.TempDir())
	must(err)
	images, err := registry.Open(ctx, d, log, blobs, clock.System{}, logger, registry.Options{})
	must(err)
	program := filepath.Join(t.TempDir(), "scanner")
	must(os.WriteFile(program, []byte(fakeScanner), 0o700))
	scanner, err := scans.Open(ctx, scans.Options{DB: d, Log: log, Clock: clock.System{}, Logger: logger, Images: fakeImages{}, Program: program, Folder: t.TempDir()})
	must(err)
	server := api.New(ids, logger, "http://localhost")
	server.AddScans(scanner, images)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	w := world{t, listener.URL, ids, project}
	ada, eve := w.user("ada", true), w.user("eve", false)

	repo, err := images.Ensure(ctx, "shop/web", project.ID)
	must(err)
	config := registry.DigestOf("sha256", []byte("{}"))
	must(images.PutBlob(ctx, repo, config, strings.NewReader("{}")))
	for _, tag := range []string{"1", "2"} {
		_, err := images.PutManifest(ctx, repo, registry.Push{Tags: []string{tag}, Content: []byte(fmt.Sprintf(
			`{"schemaVersion":2,"mediaType":%q,"layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":2},"annotations":{"tag":%q}}`,
			registry.TypeOCIManifest, config, tag))})
		must(err)
	}
	const base = "/Shop/_apis/slipway/images/"
	w.call(eve, "GET", base+"packages?image=shop/web:1", "", http.StatusNotFound, nil)
	w.call(ada, "GET", base+"packages", "", http.StatusBadRequest, nil)
	w.call(ada, "GET", base+"packages?image=shop/web:3", "", http.StatusNotFound, nil)
	w.call(ada, "GET", base+"diff?from=shop/web:1&to=shop/web:2", "", http.StatusConflict, nil) // it asks for the inventory
	w.call(ada, "GET", base+"vulnerabilities?image=shop/web:2", "", http.StatusConflict, nil)
	for more := true; more; {
		more, err = scanner.Next(ctx)
		must(err)
	}
	var changes struct{ Value []scans.Change }
	w.call(ada, "GET", base+"diff?from=shop/web:1&to=shop/web:2", "", http.StatusOK, &changes)
	if len(changes.Value) != 1 || changes.Value[0].Name != "openssl" || changes.Value[0].Before == changes.Value[0].After {
		t.Errorf("changes %+v", changes)
	}
	for severity, want := range map[string]int{"": 2, "high": 1, "critical": 0} {
		var v api.Vulnerabilities
		w.call(ada, "GET", base+"vulnerabilities?image=localhost:8080/shop/web:2&severity="+severity, "", http.StatusOK, &v)
		if len(v.Findings) != want || v.Counts.High != 1 || v.Counts.Low != 1 || v.Packages != 1 {
			t.Errorf("severity %q: %+v", severity, v)
		}
	}
	w.call(ada, "GET", base+"vulnerabilities?image=shop/web:2&severity=grave", "", http.StatusBadRequest, nil)
	scanPolicyRoutes(w, ada, eve, base)
	var all struct{ Value []scans.Ecosystem }
	w.call(ada, "POST", "/_apis/slipway/vulnerabilities", "records", http.StatusOK, &all)
	if len(all.Value) != 1 || all.Value[0].Records != 3 {
		t.Errorf("imported %+v", all)
	}
	w.call(ada, "POST", "/_apis/slipway/vulnerabilities", "x", http.StatusBadRequest, nil)
	w.call(eve, "POST", "/_apis/slipway/vulnerabilities", "records", http.StatusForbidden, nil)
	w.call(eve, "GET", "/_apis/slipway/vulnerabilities", "", http.StatusForbidden, nil)
}

// scanPolicyRoutes goes through policy, verdict, exceptions and documents.
func scanPolicyRoutes(w world, ada, eve, base string) {
	w.Helper()
	const image = "image=shop/web:2"
	var p scans.Policy
	var v api.Verdict
	w.call(ada, "GET", base+"policy", "", http.StatusOK, &p)
	w.call(ada, "GET", base+"verdict?"+image, "", http.StatusOK, &v)
	if p.Severity != "" || p.Environments == nil || v.Enforced || len(v.Refused) != 0 {
		w.Errorf("without a policy: %+v, %+v", p, v)
	}
	w.call(ada, "PUT", base+"policy", `{"severity":"high","pushes":true,"environments":["production"]}`, http.StatusOK, &p)
	w.call(ada, "GET", base+"verdict?"+image, "", http.StatusOK, &v)
	if !p.Pushes || !v.Enforced || len(v.Refused) != 1 || !strings.Contains(v.Problem, "A (high)") {
		w.Errorf("%+v, %+v", p, v)
	}
	w.call(ada, "GET", base+"verdict?image=shop/none:1", "", http.StatusNotFound, nil)
	w.call(ada, "PUT", base+"policy", `{"severity":"grave"}`, http.StatusBadRequest, nil)
	w.call(ada, "PUT", base+"policy", `{"severe":"high"}`, http.StatusBadRequest, nil)
	until := time.Now().UTC().AddDate(0, 1, 0).Format(time.RFC3339)
	var all struct{ Value []scans.Exception }
	w.call(ada, "POST", base+"exceptions", `{"vulnerability":"A","reason":"x","until":"`+until+`"}`, http.StatusOK, &all)
	if len(all.Value) != 1 || all.Value[0].By != "ada" {
		w.Errorf("exceptions %+v", all)
	}
	v = api.Verdict{}
	w.call(ada, "GET", base+"verdict?"+image, "", http.StatusOK, &v)
	if v.Problem != "" || len(v.Accepted) != 1 || v.Accepted[0].Accepted.Reason != "x" {
		w.Errorf("with the exception: %+v", v)
	}
	w.call(ada, "POST", base+"exceptions", `{"vulnerability":"A","until":"`+until+`"}`, http.StatusBadRequest, nil)
	w.call(ada, "DELETE", base+"exceptions?vulnerability=A", "", http.StatusNoContent, nil)
	w.call(ada, "DELETE", base+"exceptions?vulnerability=A", "", http.StatusNotFound, nil)
	for _, route := range []string{"policy", "exceptions", "verdict?" + image, "sbom?" + image} {
		w.call(eve, "GET", base+route, "", http.StatusNotFound, nil)
	}
	var taken api.SBOMTaken
	w.call(ada, "POST", base+"sbom?"+image, `{"bomFormat":"CycloneDX"}`, http.StatusCreated, &taken)
	if taken.Packages != 1 {
		w.Errorf("taken %+v", taken)
	}
	w.call(ada, "POST", base+"sbom?"+image, `{}`, http.StatusBadRequest, nil)
	w.call(ada, "GET", base+"sbom?format=xml&"+image, "", http.StatusBadRequest, nil)
	w.call(ada, "GET", base+"sbom?format=cyclonedx&"+image, "", http.StatusOK, nil)
}
