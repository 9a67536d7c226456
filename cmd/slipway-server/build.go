package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"slipway/internal/api"
	"slipway/internal/images"
	"slipway/internal/images/goimage"
	"slipway/internal/images/progress"
)

// buildOptions are the flags of `slipway build`.
type buildOptions struct {
	images.Options
	args, labels, secrets, outputs, contexts []string
	ssh, cacheFrom, cacheTo                  []string
	builders, env, buildpacks                []string
	builder, image                           string // of builders: a socket, and an image of buildpacks
	program, base, progress                  string
	ldflags, provenance, sbom                string
}

// buildCommand builds a folder as a pipeline would.
func buildCommand() *cobra.Command {
	cmd, _ := newBuildCommand()
	return cmd
}

func newBuildCommand() (*cobra.Command, *buildOptions) {
	o := &buildOptions{}
	cmd := &cobra.Command{
		Use: "build DIR", GroupID: "project", Short: "build an image of a folder at the server's builder, as a pipeline would", Args: cobra.ExactArgs(1),
		Long: `Build an image of a folder. The server's builder does it, with what the pipelines of the project have built as its cache; --builder
names another one. A push goes to the registries that the image's names say, with the token for the server's own and docker's logins for others.

With --go the program of a Go package is compiled here and put on a base image, and with --builder IMAGE the Cloud Native Buildpacks of that image
find out what the folder holds and build it: no Dockerfile is needed.`,
		Example: `  slipway build . -t localhost:8080/shop/app:1 --push
  slipway build . --output out --target files
  slipway build . --go ./cmd/app --base busybox -t localhost:8080/shop/app:1 --push
  slipway build . --builder paketobuildpacks/builder-jammy-base -t localhost:8080/shop/app:1 --push`,
	}
	data, project := dataFlag(cmd), projectFlag(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.Tags, "tag", "t", nil, "name of the image; may be given several times")
	f.StringVarP(&o.Dockerfile, "file", "f", "", "the Dockerfile (DIR/Dockerfile)")
	f.StringArrayVar(&o.args, "build-arg", nil, "KEY=VALUE for the Dockerfile's ARG; KEY alone takes the environment's value")
	f.StringArrayVar(&o.contexts, "build-context", nil, "NAME=FOLDER, NAME=docker-image://IMAGE or NAME=URL")
	f.StringVar(&o.Target, "target", "", "the stage to build")
	f.StringArrayVar(&o.labels, "label", nil, "KEY=VALUE, a label of the image")
	f.StringSliceVar(&o.Platforms, "platform", nil, "platforms to build for, as linux/amd64")
	f.StringArrayVar(&o.secrets, "secret", nil, "id=ID,src=FILE or id=ID,env=NAME")
	f.StringArrayVarP(&o.outputs, "output", "o", nil, "FOLDER, or type=local|tar|oci|docker,dest=PATH")
	f.BoolVar(&o.NoCache, "no-cache", false, "build every step again")
	f.BoolVar(&o.Pull, "pull", false, "ask the registry again for base images")
	f.BoolVar(&o.Push, "push", false, "push the image under every name")
	f.StringVar(&o.progress, "progress", "plain", "plain or quiet")
	f.StringArrayVar(&o.builders, "builder", nil, "an image of buildpacks, which then build in place of a Dockerfile; or unix:///SOCKET of a builder of this machine, in place of the server's")
	f.StringArrayVarP(&o.env, "env", "e", nil, "with --builder IMAGE: NAME=VALUE for the buildpacks")
	f.StringArrayVar(&o.buildpacks, "buildpack", nil, "with --builder IMAGE: ID or ID@VERSION of one in it, in place of those that it finds")
	f.StringVar(&o.program, "go", "", "build the Go program of this package instead of a Dockerfile, as ./cmd/app")
	f.StringVar(&o.base, "base", "", "with --go: the image to put the program on (that of .ko.yaml, or scratch)")
	f.StringVar(&o.ldflags, "ldflags", "", "with --go: for the linker (those of .ko.yaml)")
	f.StringArrayVar(&o.ssh, "ssh", nil, "default, or ID=SOCKET or ID=KEYFILE, for RUN --mount=type=ssh")
	f.StringArrayVar(&o.cacheFrom, "cache-from", nil, "a cache to read: NAME or type=registry,ref=NAME")
	f.StringArrayVar(&o.cacheTo, "cache-to", nil, "a cache to write: type=registry,ref=NAME,mode=max or type=inline")
	f.StringVar(&o.provenance, "provenance", "", "attach the provenance: true, false, mode=min or mode=max")
	f.StringVar(&o.sbom, "sbom", "", "attach a list of what the image holds: true, false or generator=IMAGE")
	f.Lookup("provenance").NoOptDefVal, f.Lookup("sbom").NoOptDefVal = "true", "true"
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.ContextDir = args[0]
		if err := o.splitBuilders(); err != nil {
			return err
		}
		if o.image != "" {
			return o.pack(cmd.Context(), cmd, *data, *project)
		}
		return o.run(cmd.Context(), cmd, *data, *project)
	}
	return cmd, o
}

func (o *buildOptions) run(ctx context.Context, cmd *cobra.Command, data, project string) error {
	own, dial, err := o.connect(data, project)
	if err != nil {
		return err
	}
	log := cmd.ErrOrStderr()
	switch o.progress {
	case "plain":
	case "quiet":
		log = io.Discard
	default:
		return fmt.Errorf("--progress %s is not known: write plain or quiet", o.progress)
	}
	done, err := o.complete(ctx)
	if err != nil {
		return err
	}
	defer done()
	listed, ctx := o.list(ctx, own, project, cmd.ErrOrStderr())
	result, err := images.Build(ctx, dial, o.Options, listed.Progress(progress.PrintPlain(io.MultiWriter(log, listed))))
	if err != nil {
		fmt.Fprint(io.MultiWriter(cmd.ErrOrStderr(), listed), images.Excerpt(err))
		fmt.Fprintln(listed, images.Message(err))
		listed.Finish(ctx, o.report(result), images.Message(err))
		return errors.New(images.Message(err))
	}
	result.Summary.Print(io.MultiWriter(log, listed))
	listed.Finish(ctx, o.report(result), "")
	if result.Digest != "" {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), result.Digest)
	}
	return err
}

// connect is the way to the builder, and sets the credentials for registries. Without a server, which a builder of this machine does not need, own is empty.
func (o *buildOptions) connect(data, project string) (own access, _ images.Dial, err error) {
	if own, err = readAccess(data); err != nil && o.builder == "" {
		return own, nil, err
	}
	o.Auth = own.registryLogin
	if o.builder != "" {
		dial, err := images.NewDial(o.builder, nil)
		return own, dial, err
	}
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("slipway:"+own.Token))}}
	dial, err := images.NewDial(own.URL+"/"+url.PathEscape(project)+api.BuilderPath, header)
	return own, dial, err
}

// registryLogin is the token for the server's own registry, and what docker keeps for others.
func (a access) registryLogin(host string) (user, password string) {
	if u, err := url.Parse(a.URL); err == nil && a.Token != "" && u.Host == host {
		return "slipway", a.Token
	}
	registry, err := name.NewRegistry(host)
	if err != nil {
		return "", ""
	}
	login, err := authn.DefaultKeychain.Resolve(registry)
	if err != nil {
		return "", ""
	}
	config, err := login.Authorization()
	if err != nil {
		return "", ""
	}
	return config.Username, config.Password
}

// attach reads the flags of keys, caches and attestations.
func (o *buildOptions) attach() error {
	for _, text := range o.ssh {
		ssh, err := images.ParseSSH(text, os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			return err
		}
		o.SSH = append(o.SSH, ssh)
	}
	for _, list := range []struct {
		texts []string
		to    *[]images.Cache
	}{{o.cacheFrom, &o.CacheFrom}, {o.cacheTo, &o.CacheTo}} {
		for _, text := range list.texts {
			cache, err := images.ParseCache(text)
			if err != nil {
				return err
			}
			*list.to = append(*list.to, cache)
		}
	}
	for kind, text := range map[string]string{"provenance": o.provenance, "sbom": o.sbom} {
		if text == "" {
			continue
		}
		a, err := images.ParseAttestation(kind, text)
		if err != nil {
			return err
		}
		if a != nil {
			o.Attestations = append(o.Attestations, *a)
		}
	}
	return nil
}

// complete reads what needs more than a flag's value, and compiles with --go.
func (o *buildOptions) complete(ctx context.Context) (done func(), err error) {
	o.BuildArgs, o.Labels, o.Contexts = map[string]string{}, map[string]string{}, map[string]string{}
	for _, list := range []struct {
		texts []string
		to    map[string]string
	}{{o.args, o.BuildArgs}, {o.labels, o.Labels}, {o.contexts, o.Contexts}} {
		for _, text := range list.texts {
			key, value, ok := strings.Cut(text, "=")
			if !ok {
				value = os.Getenv(key)
			}
			list.to[key] = value
		}
	}
	if o.Secrets, err = images.ReadSecrets(o.secrets, os.Getenv); err != nil {
		return nil, err
	}
	for _, text := range o.outputs {
		output, err := images.ParseOutput(text)
		if err != nil {
			return nil, err
		}
		o.Outputs = append(o.Outputs, output)
	}
	if err := o.attach(); err != nil {
		return nil, err
	}
	if o.program == "" {
		if o.base != "" || o.ldflags != "" {
			return nil, fmt.Errorf("--base and --ldflags go with --go: in a Dockerfile they are FROM and part of RUN")
		}
		if o.Dockerfile != "" { // relative to the working folder, as docker has it
			o.Dockerfile, err = filepath.Abs(o.Dockerfile)
		}
		return func() {}, err
	}
	if o.Dockerfile != "" || o.Target != "" || len(o.BuildArgs)+len(o.Contexts)+len(o.Secrets) > 0 {
		return nil, fmt.Errorf("--go takes no Dockerfile: leave out --file, --target, --build-arg, --build-context and --secret")
	}
	made, done, err := goimage.Prepare(ctx, goimage.Options{Dir: o.ContextDir, Package: o.program, Base: o.base, Platforms: o.Platforms, Ldflags: o.ldflags})
	if err != nil {
		return nil, err
	}
	o.ContextDir, o.DockerfileText, o.Platforms, o.RewriteTimes = made.ContextDir, made.DockerfileText, made.Platforms, made.RewriteTimes
	maps.Copy(o.BuildArgs, made.BuildArgs)
	return done, nil
}
