package ociserver_test

import (
	"bytes"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"slipway/internal/blob"
	"slipway/internal/blob/blobtest"
	"slipway/internal/clock"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/programtest"
	"slipway/internal/registry"
)

// The clients and suites of others, at the versions that this door was tested with.
const (
	conformanceTool = "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111"
	craneTool       = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
)

// goInstall builds a program once for all tests, and returns its path.
func goInstall(t *testing.T, tool, name string) string {
	t.Helper()
	path, err := programtest.Install(tool, name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// suite is what we read of the JUnit report.
type suite struct {
	Suites []struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Errors   int `xml:"errors,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
			Error   *struct{} `xml:"error"`
			Out     string    `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// conform runs the distribution specification's own suite with everything switched on and demands that all of it
// passes: nothing failed, nothing skipped, at least 850 checks.
func conform(t *testing.T, w *world, env ...string) {
	t.Helper()
	tool := goInstall(t, conformanceTool, "conformance")
	w.newProject("conformance")
	results := t.TempDir()
	cmd := exec.CommandContext(t.Context(), tool)
	cmd.Dir = results
	cmd.Env = append(os.Environ(), append([]string{"OCI_REGISTRY=" + w.host, "OCI_TLS=disabled", "OCI_VERSION=1.1",
		"OCI_REPO1=conformance/repo1", "OCI_REPO2=conformance/repo2", "OCI_USERNAME=admin", "OCI_PASSWORD=" + w.admin, "OCI_RESULTS_DIR=" + results,
		"OCI_API_BLOBS_DIGEST_HEADER=true", "OCI_API_MANIFESTS_DIGEST_HEADER=true", "OCI_API_BLOBS_UPLOAD_CANCEL=true",
		"OCI_API_MANIFESTS_TAG_PARAM=true"}, env...)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("conformance: %v\n%s", err, out.Bytes())
	}
	report, err := os.ReadFile(filepath.Join(results, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	if err := xml.Unmarshal(report, &s); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, one := range s.Suites {
		total += one.Tests
		t.Logf("%d checks, %d failures, %d errors, %d skipped", one.Tests, one.Failures, one.Errors, one.Skipped)
		for _, c := range one.Cases {
			if c.Failure != nil || c.Error != nil || c.Skipped != nil {
				t.Errorf("%s: failed or skipped\n%.2000s", c.Name, c.Out)
			}
		}
	}
	if total < 850 {
		t.Errorf("only %d checks ran, want 850 or more", total)
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		conform(t, setup(t, d, registry.Options{}))
	})
	t.Run("objects in S3", func(t *testing.T) {
		t.Parallel()
		place, _ := blobtest.StartS3(t).Place()
		s3, err := blob.OpenS3(t.Context(), place)
		if err != nil {
			t.Fatal(err)
		}
		conform(t, setupOn(t, dbtest.SQLite(t), s3, registry.Options{}, clock.System{}))
	})
	t.Run("sparse manifests allowed", func(t *testing.T) {
		t.Parallel()
		conform(t, setup(t, dbtest.SQLite(t), registry.Options{Sparse: true}), "OCI_DATA_SPARSE=true")
	})
}
