package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

const (
	maxMetadata  = 64 << 20 // bytes of what a registry says of a package
	maxPackage   = 2 << 30  // bytes of a package
	metadataTime = time.Minute
)

// Source is where a package is.
type Source struct {
	Kind plan.PackageKind
	// Address is npm's registry, or the index of NuGet's (…/index.json).
	Address string
	// Name as the registry has it: @SCOPE/NAME of npm, the id of NuGet.
	Name string
	// User and Password open it; a password alone is a token. Both are "" for one that is open to all.
	User, Password string
}

// The addresses of GitHub Packages.
const (
	githubNPM   = "https://npm.pkg.github.com"
	githubNuGet = "https://nuget.pkg.github.com"
)

// SourceOf is where a package resource is, by its service connection: of GitHub, whose packages have an owner, or of any registry.
func SourceOf(p *plan.Package, c *job.Connection) (Source, error) {
	s := Source{Kind: p.Kind, Address: strings.TrimRight(c.URL, "/"), Name: p.Name}
	s.User, s.Password = c.Credentials()
	if key := c.Parameter("nugetkey"); s.Password == "" && key != "" {
		s.Password = key
	}
	owner, name, owned := strings.Cut(strings.TrimPrefix(p.Name, "@"), "/")
	if !owned {
		owner, name = "", owner
	}
	github := strings.EqualFold(c.Type, "github")
	switch {
	case github && owner == "":
		return s, slipway.Invalid("package %s: name of a package of GitHub is OWNER/NAME, not %q", p.Alias, p.Name).At(p.At)
	case github && p.Kind == plan.PackageNuGet:
		s.Address = githubNuGet + "/" + url.PathEscape(owner) + "/index.json"
	case github:
		s.Address = githubNPM
	}
	switch {
	case p.Kind == plan.PackageNuGet:
		s.Name = name
		if s.Password != "" && s.User == "" {
			s.User = "slipway" // NuGet's servers take a token as the password of any user
		}
	case owner != "":
		s.Name = "@" + owner + "/" + name
	}
	if strings.Contains(name, "/") || name == "" || name == "." || name == ".." {
		return s, slipway.Invalid("package %s: %q is no name of a package: write NAME, or OWNER/NAME", p.Alias, p.Name).At(p.At)
	}
	if u, err := url.Parse(s.Address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return s, slipway.Invalid("package %s: the URL of service connection %q is none of a registry", p.Alias, c.Name).At(p.At)
	}
	return s, nil
}

// Version is a version of a package as its registry has it.
type Version struct {
	Number string
	// Integrity is npm's digest of the file, as in Subresource Integrity; "" if the registry has none.
	Integrity string
	file      string // its address
}

// Client asks registries.
type Client struct{ HTTP *http.Client }

// Find is the version of that number; with "" the one of the tag, of npm "latest" by default and of NuGet the highest that is no
// prerelease, or else the highest. CodeNotFound says that there is none.
func (c Client) Find(ctx context.Context, s Source, number, tag string) (Version, error) {
	ctx, stop := context.WithTimeout(ctx, metadataTime)
	defer stop()
	if s.Kind == plan.PackageNuGet {
		return c.findNuGet(ctx, s, number)
	}
	return c.findNPM(ctx, s, number, tag)
}

// Download writes the package's file, and refuses one that is not what the registry promised.
func (c Client) Download(ctx context.Context, s Source, v Version, to io.Writer) error {
	resp, err := c.get(ctx, s, v.file, "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	check, err := newIntegrity(v.Integrity)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(to, check), io.LimitReader(resp.Body, maxPackage+1))
	if err != nil {
		return fmt.Errorf("download %s %s: %w", s.Name, v.Number, err)
	}
	if n > maxPackage {
		return slipway.Limit("package %s %s has more than %d bytes", s.Name, v.Number, int64(maxPackage))
	}
	return check.verify(s.Name + " " + v.Number)
}

// get asks an address, with the credentials if it is of the registry's own host. Go takes them away at a redirect to another one.
func (c Client) get(ctx context.Context, s Source, address, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the registry: %w", err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	req.Header.Set("User-Agent", "slipway")
	if own, err := url.Parse(s.Address); err == nil && s.Password != "" && own.Scheme == req.URL.Scheme && own.Host == req.URL.Host {
		if s.User == "" {
			req.Header.Set("Authorization", "Bearer "+s.Password)
		} else {
			req.SetBasicAuth(s.User, s.Password)
		}
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address is said below
		}
		return nil, slipway.Unavailable("the registry %s cannot be reached: %v", shown(address), err)
	}
	switch {
	case resp.StatusCode == http.StatusOK:
		return resp, nil
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		err = slipway.Invalid("the registry %s refuses the credentials of the service connection (%s)", shown(address), resp.Status)
	case resp.StatusCode == http.StatusNotFound:
		err = slipway.NotFound("the registry has nothing at %s", shown(address))
	default:
		err = slipway.Unavailable("the registry %s answers %s", shown(address), resp.Status)
	}
	return nil, errors.Join(err, resp.Body.Close())
}

// shown is an address without what may be secret in it.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "of that address"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func (c Client) json(ctx context.Context, s Source, address, accept string, into any) error {
	resp, err := c.get(ctx, s, address, accept)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxMetadata+1))
	if err != nil {
		return slipway.Unavailable("the answer of the registry %s breaks off: %v", shown(address), err)
	}
	if len(b) > maxMetadata {
		return slipway.Limit("the registry %s says more than %d bytes", shown(address), maxMetadata)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return slipway.Invalid("what %s answers is not what a registry of packages does: %v", shown(address), err)
	}
	return nil
}
