package api_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/identity"
	"slipway/internal/programtest"
	"slipway/internal/registry"
	"slipway/internal/signing"
)

// cosign verifies what the server attests, and signs and attests with a job's identity by the server's authorities.
func TestCosign(t *testing.T) {
	t.Parallel()
	program, err := programtest.Client("cosign")
	if err != nil {
		t.Fatal(err)
	}
	w, ctx, folder := newSigningWorld(t), context.Background(), t.TempDir()
	cosign := func(good bool, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "HOME="+folder, "DOCKER_CONFIG="+folder)
		out, err := cmd.CombinedOutput()
		if (err == nil) != good {
			t.Fatalf("cosign %s: %v, want success %v\n%s", strings.Join(args, " "), err, good, out)
		}
		return string(out)
	}
	write := func(name string, content []byte) string {
		t.Helper()
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	repo, err := w.registry.Ensure(ctx, "shop/web", w.project.ID)
	must(err)
	config := registry.DigestOf("sha256", []byte("{}"))
	must(w.registry.PutBlob(ctx, repo, config, strings.NewReader("{}")))
	push := func(tag, annotations string) slipway.Digest {
		t.Helper()
		m, err := w.registry.PutManifest(ctx, repo, registry.Push{Tags: []string{tag}, By: identity.Principal{Actor: slipway.System}, Content: []byte(
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],` + annotations +
				`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + string(config) + `","size":2}}`)})
		must(err)
		return m.Digest
	}
	attested, other := push("1", ""), push("2", `"annotations":{"a":"b"},`)
	list, err := w.signing.Attest(ctx, signing.Image{Name: w.host + "/shop/web", Digest: attested}, signedBuild)
	must(err)
	for _, a := range list {
		_, err := w.registry.Attach(ctx, repo, attested, registry.Attachment{Type: a.MediaType, Content: a.Content, Annotations: a.Annotations(time.Now())}, slipway.System)
		must(err)
	}
	trusted := write("trusted-root.json", w.trustedRoot())
	signingConfig, err := w.signing.SigningConfig(ctx)
	must(err)
	cosign(true, "login", "--username", "ada", "--password", w.admin, w.host)
	verify := func(command, signer string, more ...string) []string {
		return append([]string{command, "--trusted-root", trusted, "--use-signed-timestamps", "--insecure-ignore-tlog", "--insecure-ignore-sct", "--allow-http-registry",
			"--certificate-oidc-issuer", w.url, "--certificate-identity", signer}, more...)
	}
	own := w.signing.Identity(signedBuild)
	out := cosign(true, verify("verify", own, w.host+"/shop/web:1")...)
	if !strings.Contains(out, string(attested)) {
		t.Errorf("cosign verify says %s", out)
	}
	cosign(true, verify("verify-attestation", own, "--type", "slsaprovenance1", w.host+"/shop/web:1")...)
	cosign(false, verify("verify", strings.Replace(own, "main", "topic", 1), w.host+"/shop/web:1")...)
	cosign(false, verify("verify", own, w.host+"/shop/web:2")...)

	token := w.jobToken("9", api.SigningAudience, time.Minute)
	cosign(true, "sign", "--yes", "--allow-http-registry", "--signing-config", write("signing-config.json", signingConfig), "--trusted-root", trusted, "--identity-token", token,
		w.host+"/shop/web@"+string(other))
	cosign(true, verify("verify", own, w.host+"/shop/web:2")...)
	cosign(true, "attest", "--yes", "--allow-http-registry", "--signing-config", filepath.Join(folder, "signing-config.json"), "--trusted-root", trusted, "--identity-token", token,
		"--type", "https://example.com/tested", "--predicate", write("predicate.json", []byte(`{"passed":true}`)), w.host+"/shop/web@"+string(other))
	cosign(true, verify("verify-attestation", own, "--type", "https://example.com/tested", w.host+"/shop/web:2")...)
}
