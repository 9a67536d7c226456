package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/spf13/cobra"

	"slipway"
	"slipway/internal/api"
	"slipway/internal/registry"
	"slipway/internal/signing"
)

func trustRootCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "trust-root", GroupID: "server", Short: "print by what others verify this server's images", Args: cobra.NoArgs,
		Long: `Prints the trusted root of this server, by which "cosign verify --trusted-root FILE" and every other client of Sigstore verify what
its pipelines pushed. Take it from a server that you trust, once, and keep it: whoever has it needs the server no more.`,
		Example: `  slipway trust-root >trusted-root.json
  cosign verify --trusted-root trusted-root.json --use-signed-timestamps --insecure-ignore-tlog --insecure-ignore-sct \
    --certificate-oidc-issuer https://slipway.example.com \
    --certificate-identity https://slipway.example.com/shop/_git/shop//azure-pipelines.yml@refs/heads/main \
    slipway.example.com/shop/web:1.0`,
	}
	data := dataFlag(cmd)
	config := cmd.Flags().Bool("signing-config", false, "print the signing configuration that cosign sign --signing-config takes instead")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		path := "/_apis/slipway/trusted-root"
		if *config {
			path = "/_apis/slipway/signing-config"
		}
		b, err := a.raw(cmd.Context(), http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(string(b)))
		return nil
	})
	return cmd
}

func signingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "signing [on|off]", GroupID: "project", Short: "show or switch whether the images of a project's pipelines are signed", Args: cobra.MaximumNArgs(1),
		ValidArgs: []string{"on", "off"},
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path, method, body := "/"+url.PathEscape(*project)+"/_apis/slipway/signing", http.MethodGet, any(nil)
		if len(args) == 1 {
			if args[0] != "on" && args[0] != "off" {
				return fmt.Errorf("signing %q: write on or off", args[0])
			}
			method, body = http.MethodPut, api.Signing{Enabled: args[0] == "on"}
		}
		var now api.Signing
		if err := a.call(cmd.Context(), method, path, body, &now); err != nil {
			return err
		}
		state := "off"
		if now.Enabled {
			state = "on"
		}
		fmt.Fprintf(cmd.OutOrStdout(), "signing is %s in project %s\n", state, *project)
		return nil
	})
	return cmd
}

// maxStatements is how many statements about an image are looked at.
const maxStatements = 500

type verifyOptions struct {
	trustedRoot string
	wanted      signing.Wanted
	asJSON      bool
}

func verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify IMAGE", GroupID: "deploy", Short: "verify who signed an image and from what it was built", Args: cobra.ExactArgs(1),
		Long: `Verifies the signatures and the provenance that are kept with an image, here and not in the server: by the trusted root in FILE, or by the
one that the server gives. IMAGE is a name with a tag or digest; without a host it is in this server's registry.

It ends with 0 if at least one statement verifies, by the wanted identity if one is named, and with 1 if none does.`,
		Example: `  slipway verify shop/web:1.0
  slipway verify --certificate-identity-regexp '^https://slipway.example.com/shop/_git/shop//.*@refs/heads/main$' shop/web:1.0`,
	}
	data := dataFlag(cmd)
	var o verifyOptions
	cmd.Flags().StringVar(&o.trustedRoot, "trusted-root", "", "file with the trusted root (default: the server's)")
	cmd.Flags().StringVar(&o.wanted.Identity, "certificate-identity", "", "who must have signed: REPOSITORY//FILE@REF")
	cmd.Flags().StringVar(&o.wanted.IdentityRegexp, "certificate-identity-regexp", "", "a regular expression for it")
	cmd.Flags().StringVar(&o.wanted.Issuer, "certificate-oidc-issuer", "", "the address of the server that must have vouched for it")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the verified statements as JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := o.wanted.Check(); err != nil {
			return err
		}
		a, err := readAccess(*data)
		if err != nil {
			return err
		}
		verifier, err := a.verifier(cmd.Context(), o.trustedRoot)
		if err != nil {
			return err
		}
		digest, bundles, err := a.bundles(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return o.report(cmd, verifier, args[0], digest, bundles)
	}
	return cmd
}

func (a access) verifier(ctx context.Context, path string) (*signing.Verifier, error) {
	if path == "" {
		b, err := a.raw(ctx, http.MethodGet, "/_apis/slipway/trusted-root", nil)
		if err != nil {
			return nil, err
		}
		return signing.NewVerifier(b)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return signing.NewVerifier(b)
}

// bundles are the signed statements about an image, and its digest.
func (a access) bundles(ctx context.Context, image string) (slipway.Digest, [][]byte, error) {
	server, err := url.Parse(a.URL)
	if err != nil {
		return "", nil, fmt.Errorf("read the server's address: %w", err)
	}
	options := []name.Option{name.WithDefaultRegistry(server.Host)}
	if server.Scheme == "http" {
		options = append(options, name.Insecure)
	}
	reference, err := name.ParseReference(image, options...)
	if err != nil {
		return "", nil, fmt.Errorf("image %q: write NAME:TAG or NAME@sha256:DIGEST (%w)", image, err)
	}
	access := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if reference.Context().RegistryStr() == server.Host { // the token is for nobody else
		access[1] = remote.WithAuth(&authn.Basic{Username: "slipway", Password: a.Token})
	}
	descriptor, err := remote.Head(reference, access...)
	if err != nil {
		return "", nil, fmt.Errorf("find image %s: %w", image, err)
	}
	index, err := remote.Referrers(reference.Context().Digest(descriptor.Digest.String()), access...)
	if err != nil {
		return "", nil, fmt.Errorf("list what is said about %s: %w", image, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", nil, fmt.Errorf("list what is said about %s: %w", image, err)
	}
	var list [][]byte
	for _, m := range manifest.Manifests {
		if m.ArtifactType != signing.BundleType || len(list) == maxStatements {
			continue
		}
		b, err := readBundle(reference.Context().Digest(m.Digest.String()), access)
		if err != nil {
			return "", nil, fmt.Errorf("read a statement about %s: %w", image, err)
		}
		list = append(list, b)
	}
	return slipway.Digest(descriptor.Digest.String()), list, nil
}

func readBundle(d name.Digest, access []remote.Option) ([]byte, error) {
	image, err := remote.Image(d, access...)
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) != 1 {
		return nil, fmt.Errorf("%s has %d layers, a bundle has one", d, len(layers))
	}
	r, err := layers[0].Compressed() // as it is
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, registry.MaxAttachment))
}

func (o verifyOptions) report(cmd *cobra.Command, verifier *signing.Verifier, image string, d slipway.Digest, bundles [][]byte) error {
	var good []signing.Verified
	var last error
	for _, b := range bundles {
		v, err := verifier.Verify(b, d, o.wanted)
		if err != nil {
			last = err
			continue
		}
		good = append(good, v)
	}
	if len(good) == 0 {
		if last == nil {
			last = slipway.NotFound("nobody signed it")
		}
		return fmt.Errorf("%s@%s is not verified: none of %d statements is good: %w", image, d, len(bundles), last)
	}
	out := cmd.OutOrStdout()
	if o.asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(map[string]any{"image": image, "digest": d, "statements": good})
	}
	fmt.Fprintf(out, "%s\n%s\nverified: %d of %d statements\n", image, d, len(good), len(bundles))
	for _, v := range good {
		fmt.Fprintf(out, "\n%s\n  signed by   %s\n  issuer      %s\n  at          %s\n  source      %s %s\n  commit      %s\n  run         %s\n", statementName(v.PredicateType),
			v.Identity, v.Issuer, v.Signed.Format(time.RFC3339), v.Repository, v.Ref, v.Commit, v.Run)
		if p := v.Provenance; p != nil {
			i := p.BuildDefinition.InternalParameters
			fmt.Fprintf(out, "  pipeline    %s, run %s, job %s\n  builder     %s\n", i.Pipeline, i.RunNumber, i.Job, p.RunDetails.Builder.ID)
			for name, value := range p.BuildDefinition.ExternalParameters.Parameters {
				fmt.Fprintf(out, "  parameter   %s=%v\n", name, value)
			}
		}
	}
	return nil
}

// statementName is how people call a kind of statement.
func statementName(predicate string) string {
	switch predicate {
	case signing.PredicateSignature:
		return "signature"
	case signing.PredicateProvenance:
		return "provenance (SLSA v1)"
	}
	return predicate
}
