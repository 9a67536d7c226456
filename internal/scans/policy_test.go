package scans_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/events"
	"slipway/internal/scans"
)

var ada = slipway.Actor{Kind: slipway.ActorUser, ID: "u", Name: "ada"}

// A policy refuses what it names, but for what the project has accepted for a while.
func TestPolicy(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *db.DB) {
		w, ctx := newWorld(t, db), context.Background()
		d := w.add(debian("3.0.11-1~deb12u1"))
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		if v, err := w.Judge(ctx, project, repository, d); err != nil || len(v.Refused) != 0 {
			t.Errorf("without a policy: %+v, %v", v, err)
		}
		must(w.SetPolicy(ctx, project, scans.Policy{Severity: "high", Environments: []string{"prod*"}}, ada))
		if _, err := w.Judge(ctx, project, repository, d); slipway.CodeOf(err) != slipway.CodeConflict {
			t.Errorf("before the scan: %v, want a conflict", err)
		}
		w.scan()
		if _, err := w.Judge(ctx, project, repository, d); slipway.CodeOf(err) != slipway.CodeUnavailable {
			t.Errorf("without records: %v, want unavailable", err)
		}
		unfixed := map[string]string{"NOFIX.json": `{"id":"NOFIX","database_specific":{"severity":"HIGH"},"affected":[{"package":{"ecosystem":"PyPI","name":"jinja2"},"versions":["2.10"]}]}`}
		for name, record := range records {
			unfixed[name] = record
		}
		if _, err := w.Import(ctx, export(t, unfixed)); err != nil {
			t.Fatal(err)
		}
		refused := func(want ...string) scans.Verdict {
			t.Helper()
			v, err := w.Judge(ctx, project, repository, d)
			must(err)
			got := []string{}
			for _, f := range v.Refused {
				got = append(got, f.ID)
			}
			if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
			return v
		}
		const minimist, jinja, noFix, openssl = "GHSA-xvch-5gv4-984h", "GHSA-462w-v97r-4m45", "NOFIX", "DSA-5532-1"
		v := refused(minimist, jinja)
		if err := v.Problem("shop/web:1"); slipway.CodeOf(err) != slipway.CodeForbidden || !strings.Contains(err.Error(), minimist+" (critical) in minimist 1.2.5, fixed in 1.2.6") {
			t.Errorf("the reason is %v", err)
		}
		must(w.SetPolicy(ctx, project, scans.Policy{Severity: "high", Unfixed: true}, ada))
		refused(minimist, jinja, noFix)
		must(w.SetPolicy(ctx, project, scans.Policy{Severity: "unknown"}, ada))
		refused(minimist, jinja, openssl)
		must(w.SetPolicy(ctx, project, scans.Policy{Severity: "high"}, ada))

		day := func(n int) time.Time {
			return w.clock.now.Add(time.Duration(n) * 24 * time.Hour).Truncate(time.Microsecond)
		}
		must(w.Accept(ctx, project, scans.Exception{Vulnerability: "cve-2019-10906", Package: "Jinja2", Reason: " no templates of users ", Until: day(30)}, ada)) // by its alias
		must(w.Accept(ctx, project, scans.Exception{Vulnerability: minimist, Package: "another", Reason: "x", Until: day(30)}, ada))
		if v := refused(minimist); len(v.Accepted) != 1 || v.Accepted[0].Accepted.Reason != "no templates of users" || v.Accepted[0].Accepted.By != "ada" {
			t.Errorf("accepted %+v", v.Accepted)
		}
		must(w.Accept(ctx, project, scans.Exception{Vulnerability: minimist, Reason: "y", Until: day(10)}, ada))
		if err := refused().Problem("x"); err != nil {
			t.Error(err)
		}
		if v, err := w.Judge(ctx, "another", repository, d); err != nil || len(v.Refused) != 0 {
			t.Errorf("another project: %+v, %v", v, err)
		}
		w.clock.now = day(11)
		refused(minimist)
		w.clock.now = day(20)
		refused(minimist, jinja)
		all, err := w.Exceptions(ctx, project)
		if err != nil || len(all) != 3 || all[0].Reason != "y" {
			t.Errorf("exceptions %+v, %v", all, err)
		}
		must(w.Withdraw(ctx, project, minimist, "another", ada))
		if err := w.Withdraw(ctx, project, minimist, "another", ada); slipway.CodeOf(err) != slipway.CodeNotFound {
			t.Errorf("withdrawn twice: %v", err)
		}
		told(t, w)
	})
}

// told demands that the log tells who changed the policy from what to what, and of the exceptions.
func told(t *testing.T, w *world) {
	t.Helper()
	list, err := w.Service.Log.List(t.Context(), events.Filter{Project: project, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var policies, exceptions []string
	for _, e := range slices.Backward(list) {
		var policy scans.PolicyPayload
		var exception scans.ExceptionPayload
		switch {
		case e.Actor != ada:
			t.Errorf("%s by %v, want ada", e.Kind, e.Actor)
		case e.Kind == scans.EventPolicyChanged && e.Decode(&policy) == nil:
			policies = append(policies, policy.Before.Severity+" to "+policy.After.Severity)
		case e.Kind == scans.EventExceptionChanged && e.Decode(&exception) == nil:
			exceptions = append(exceptions, exception.Change+" "+exception.Exception.Package+" by "+exception.Exception.By)
		}
	}
	if diff := cmp.Diff([]string{" to high", "high to high", "high to unknown", "unknown to high"}, policies); diff != "" {
		t.Errorf("policies (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"accepted Jinja2 by ada", "accepted another by ada", "accepted  by ada", "withdrawn another by ada"}, exceptions); diff != "" {
		t.Errorf("exceptions (-want +got)\n%s", diff)
	}
}

func TestPolicyMistakes(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, dbtest.SQLite(t)), context.Background()
	for _, p := range []scans.Policy{{Severity: "grave"}, {Severity: "high", Environments: []string{"["}}, {Environments: make([]string, 51)}, {Environments: []string{""}}} {
		if err := w.SetPolicy(ctx, project, p, ada); err == nil || slipway.CodeOf(err) == slipway.CodeInternal {
			t.Errorf("%+v: %v", p, err)
		}
	}
	now := w.clock.now
	for name, e := range map[string]scans.Exception{
		"no vulnerability": {Reason: "x", Until: now.Add(time.Hour)},
		"no reason":        {Vulnerability: "CVE-1", Reason: " ", Until: now.Add(time.Hour)},
		"no end":           {Vulnerability: "CVE-1", Reason: "x"},
		"an end before":    {Vulnerability: "CVE-1", Reason: "x", Until: now},
		"for ever":         {Vulnerability: "CVE-1", Reason: "x", Until: now.AddDate(2, 0, 0)},
		"a long reason":    {Vulnerability: "CVE-1", Reason: strings.Repeat("x", 1001), Until: now.Add(time.Hour)},
		"two lines":        {Vulnerability: "CVE-1\nCVE-2", Reason: "x", Until: now.Add(time.Hour)},
	} {
		if err := w.Accept(ctx, project, e, ada); err == nil || slipway.CodeOf(err) == slipway.CodeInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
	guards := scans.Policy{Severity: "low", Environments: []string{"prod*", "Staging"}}
	for environment, want := range map[string]bool{"production": true, "Prod": true, "staging": true, "dev": false} {
		if guards.Guards(environment) != want {
			t.Errorf("guards %s: %v", environment, !want)
		}
	}
	if (scans.Policy{Environments: []string{"*"}}).Guards("prod") {
		t.Error("a policy that refuses nothing guards an environment")
	}
}

// rockyPackages is the database of packages of Rocky Linux 9.2's image, from the tests of the library that the scanner reads it with.
func rockyPackages(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr")
	cmd.Dir = filepath.Join("..", "..", "scanner")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	folder, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "extractor/filesystem/os/rpm/testdata/rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The packages of rpm and apk are found and matched by the rules of their distributions.
func TestDistributions(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, dbtest.SQLite(t)), context.Background()
	rpm := rockyPackages(t)
	rocky := w.add(map[string]string{"var/lib/rpm/rpmdb.sqlite": rpm, "etc/os-release": "ID=rocky\nNAME=\"Rocky Linux\"\nVERSION_ID=\"9.2\"\n"})
	redHat := w.add(map[string]string{"var/lib/rpm/rpmdb.sqlite": rpm, "etc/os-release": "ID=rhel\nVERSION_ID=\"9.2\"\n"})
	alpine := w.add(map[string]string{"etc/os-release": "ID=alpine\nVERSION_ID=3.18.0\n",
		"lib/apk/db/installed": "P:libcrypto3\nV:3.1.0-r4\nA:x86_64\nL:Apache-2.0\no:openssl\n\nP:busybox\nV:1.36.0-r9\nA:x86_64\nL:GPL-2.0-only\no:busybox\n"})
	w.scan()
	// The image has openssl-libs 1:3.0.7-6.el9_2 of the source package openssl.
	record := func(ecosystem, name, fixed string) string {
		return fmt.Sprintf(`{"id":%q,"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`,
			ecosystem+"/"+name+"/"+fixed, ecosystem, name, fixed)
	}
	files := map[string]string{}
	for i, r := range []string{
		record("Rocky Linux:9", "openssl", "1:3.0.7-16.el9_2"), record("Rocky Linux:9", "openssl", "1:3.0.7-6.el9_2"), record("Rocky Linux:8", "openssl", "1:9-1"),
		record("Red Hat:enterprise_linux:9::baseos", "openssl-libs", "1:3.0.7-16.el9_2"), record("Red Hat:enterprise_linux:9::baseos", "openssl-libs", "9-1.el9"),
		record("Red Hat:enterprise_linux:8::baseos", "openssl-libs", "1:9-1"),
		record("Alpine:v3.18", "openssl", "3.1.1-r0"), record("Alpine:v3.18", "openssl", "3.1.0-r4"), record("Alpine:v3.17", "openssl", "9"),
	} {
		files[fmt.Sprintf("%d.json", i)] = r
	}
	if _, err := w.Import(ctx, export(t, files)); err != nil {
		t.Fatal(err)
	}
	for d, want := range map[slipway.Digest][]string{
		rocky:  {"openssl-libs Rocky Linux:9/openssl/1:3.0.7-16.el9_2"},
		redHat: {"openssl-libs Red Hat:enterprise_linux:9::baseos/openssl-libs/1:3.0.7-16.el9_2"},
		alpine: {"libcrypto3 Alpine:v3.18/openssl/3.1.1-r0"},
	} {
		findings, m, err := w.Findings(ctx, project, repository, d)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range findings {
			if strings.HasPrefix(f.Package, "openssl-libs") || f.Package == "libcrypto3" {
				got = append(got, f.Package+" "+f.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || m.Counts.Unchecked != 0 {
			t.Errorf("%d packages, %d unchecked (-want +got):\n%s", m.Packages, m.Counts.Unchecked, diff)
		}
	}
	if m, err := w.Get(ctx, repository, rocky); err != nil || m.Packages != 141 { // as its own test counts
		t.Errorf("%d packages of rpm, %v", m.Packages, err)
	}
}

// The inventory is given in CycloneDX too, and what others state about an image is looked at beside it.
func TestDocuments(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *db.DB) {
		w, ctx := newWorld(t, db), context.Background()
		d := w.add(debian("3.0.11-1~deb12u2"))
		given := `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"log4j-core","components":[
			{"type":"library","name":"x","purl":"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}]},
			{"type":"library","name":"minimist","purl":"pkg:npm/minimist@1.2.5"},{"type":"library","name":"net","purl":"pkg:golang/golang.org/x/net@v0.1.0"}]}`
		if n, err := w.PutDocument(ctx, repository, d, []byte(given), ada); err != nil || n != 3 {
			t.Fatalf("%d packages, %v", n, err)
		}
		w.scan()
		var bom struct {
			Format     string `json:"bomFormat"`
			Version    string `json:"specVersion"`
			Components []struct {
				Name     string `json:"name"`
				PURL     string `json:"purl"`
				Licenses []struct {
					License struct {
						Name string `json:"name"`
					} `json:"license"`
				} `json:"licenses"`
			} `json:"components"`
		}
		document, err := w.Service.SBOM(ctx, repository, d, scans.TypeCycloneDX)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(document, &bom); err != nil || bom.Format != "CycloneDX" || bom.Version != "1.6" || len(bom.Components) != 4 ||
			!strings.HasPrefix(bom.Components[1].PURL, "pkg:deb/debian/libssl3@3.0.11-1~deb12u2?") {
			t.Errorf("%v: %s", err, document)
		}
		records := map[string]string{
			"a.json": `{"id":"GHSA-jfh8-c2jp-5v3q","affected":[{"package":{"ecosystem":"Maven","name":"org.apache.logging.log4j:log4j-core"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"2.13.0"},{"fixed":"2.15.0"}]}]}]}`,
			"b.json": `{"id":"GO-2022-1144","affected":[{"package":{"ecosystem":"Go","name":"golang.org/x/net"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"0.4.0"}]}]}]}`,
			"c.json": `{"id":"M","affected":[{"package":{"ecosystem":"npm","name":"minimist"},"versions":["1.2.5"]}]}`,
		}
		if _, err := w.Import(ctx, export(t, records)); err != nil {
			t.Fatal(err)
		}
		ids := func() (list []string) {
			t.Helper()
			findings, _, err := w.Findings(ctx, project, repository, d)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range findings {
				list = append(list, f.ID+" "+f.Package+" "+f.Version)
			}
			return list
		}
		want := []string{"GO-2022-1144 golang.org/x/net 0.1.0", "M minimist 1.2.5", "GHSA-jfh8-c2jp-5v3q org.apache.logging.log4j:log4j-core 2.14.1"}
		if diff := cmp.Diff(want, ids()); diff != "" {
			t.Errorf("with the document (-want +got):\n%s", diff)
		}
		// Another takes its place; the scanner's own in SPDX names the distribution's packages with their sources.
		own, err := w.Service.SBOM(ctx, repository, d, scans.TypeSPDX)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.PutDocument(ctx, repository, d, own, ada); err != nil || n != 4 {
			t.Errorf("%d packages, %v", n, err)
		}
		if diff := cmp.Diff([]string{"M minimist 1.2.5"}, ids()); diff != "" {
			t.Errorf("with the other document (-want +got):\n%s", diff)
		}
		for _, bad := range []string{"<bom/>", "{}", `{"spdxVersion":"SPDX-3.0"}`, `{"bomFormat":"CycloneDX","components":[{"purl":"no"}]}`, `{"bomFormat":"CycloneDX","x":"` + strings.Repeat("x", scans.MaxDocument) + `"}`} {
			if _, err := w.PutDocument(ctx, repository, d, []byte(bad), ada); err == nil || slipway.CodeOf(err) == slipway.CodeInternal {
				t.Errorf("%.80s: %v", bad, err)
			}
		}
	})
}
