package az

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"

	"slipway"
)

// anyUser is the name that Azure's registry gives to a token; the registry here looks at the token alone.
const anyUser = "00000000-0000-0000-0000-000000000000"

// maxList bounds how many tags or repositories are read.
const maxList = 100_000

// registryName is the option that names the registry. Every name means the server's own: it has one.
func registryName(names ...string) option {
	return option{names: names, doc: "the registry: any name means this server's"}
}

// registryOptions are what the commands of a registry have in common.
func registryOptions(more ...option) []option {
	return append(more, option{names: []string{"--resource-group", "-g"}, doc: "changes nothing"}, option{names: []string{"--suffix"}, doc: "changes nothing"},
		option{names: []string{"--username", "-u"}, doc: "a user in place of the job"}, option{names: []string{"--password", "-p"}, doc: "the user's token"})
}

// host is the registry's name in images.
func (c *call) host() (string, error) {
	if h := c.Getenv("SLIPWAY_REGISTRY_HOST"); h != "" {
		return h, nil
	}
	return "", slipway.Unavailable("no registry is named: SLIPWAY_REGISTRY_HOST is set in Slipway's jobs only")
}

// project is the first part of the names of a project's images.
func (c *call) project() string { return strings.ToLower(c.Getenv("SYSTEM_TEAMPROJECT")) }

// imageName is a repository's full name, with the tag or digest that follows it. As in Docker@2 an image belongs to a project,
// whose name is put before it. A registry's name before it is left out.
func (c *call) imageName(s string) (repository, reference string, err error) {
	if first, rest, ok := strings.Cut(s, "/"); ok && (first == c.Getenv("SLIPWAY_REGISTRY_HOST") || strings.HasSuffix(strings.ToLower(first), ".azurecr.io")) {
		s = rest
	}
	name, digest, digested := strings.Cut(s, "@")
	if digested {
		reference = digest
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		if !digested {
			reference = name[i+1:]
		}
		name = name[:i]
	}
	if name = strings.ToLower(name); name == "" {
		return "", "", usagef("%q is not an image's name: write REPOSITORY:TAG", s)
	}
	if key := c.project(); key != "" && name != key && !strings.HasPrefix(name, key+"/") {
		name = key + "/" + name
	}
	return name, reference, nil
}

// basicClient sends a user and password to one host with every request.
type basicClient struct{ host, user, password string }

func (b basicClient) Do(r *http.Request) (*http.Response, error) {
	if r.URL.Host == b.host {
		r = r.Clone(r.Context())
		r.SetBasicAuth(b.user, b.password)
	}
	return retry.DefaultClient.Do(r)
}

// server is the registry itself, where it is reached: at the server's own address.
func (c *call) server() (*url.URL, basicClient, error) {
	base, err := url.Parse(c.Getenv("SLIPWAY_URL"))
	if err != nil || base.Host == "" {
		return nil, basicClient{}, slipway.Unavailable("no server is named: SLIPWAY_URL is set in Slipway's jobs only")
	}
	b := basicClient{base.Host, cmp.Or(c.text("username"), anyUser), c.text("password")}
	if b.password == "" {
		b.password = c.Getenv("SLIPWAY_JOB_TOKEN")
	}
	return base, b, nil
}

func (c *call) repository(name string) (*remote.Repository, error) {
	base, client, err := c.server()
	if err != nil {
		return nil, err
	}
	r, err := remote.NewRepository(base.Host + "/" + name)
	if err != nil {
		return nil, slipway.Invalid("%q is not a repository's name: %v", name, err)
	}
	r.Client, r.PlainHTTP = client, base.Scheme == "http"
	return r, nil
}

// foreign is a repository of any registry, as `az acr import --source` names it.
func foreign(reference string, user, password string) (*remote.Repository, error) {
	r, err := remote.NewRepository(reference)
	if err != nil {
		return nil, slipway.Invalid("--source %s is not an image's name: write REGISTRY/REPOSITORY:TAG", reference)
	}
	host, _, err := net.SplitHostPort(r.Reference.Registry)
	if err != nil {
		host = r.Reference.Registry
	}
	ip := net.ParseIP(host)
	r.PlainHTTP = host == "localhost" || ip != nil && ip.IsLoopback() // as docker has it
	client := &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache()}
	if user != "" || password != "" {
		client.Credential = auth.StaticCredential(r.Reference.Registry, auth.Credential{Username: user, Password: password})
	}
	r.Client = client
	return r, nil
}

// registryError says what the registry answered, in a sentence.
func registryError(doing string, err error) error {
	var answer *errcode.ErrorResponse
	if errors.As(err, &answer) {
		why := http.StatusText(answer.StatusCode)
		if len(answer.Errors) > 0 && answer.Errors[0].Message != "" {
			why = answer.Errors[0].Message
		}
		switch answer.StatusCode {
		case http.StatusUnauthorized:
			return slipway.Unauthenticated("%s: the registry does not know the credentials: %s", doing, why).Because(err)
		case http.StatusForbidden:
			return slipway.Forbidden("%s: the registry refuses it: %s", doing, why).Because(err)
		case http.StatusNotFound:
			return slipway.NotFound("%s: %s", doing, why).Because(err)
		}
		return slipway.Invalid("%s: the registry answered %d: %s", doing, answer.StatusCode, why).Because(err)
	}
	if errors.Is(err, errdef.ErrNotFound) {
		return slipway.NotFound("%s: it is not in the registry", doing).Because(err)
	}
	return slipway.Unavailable("%s", doing).Because(err)
}

// ping sees whether the registry takes the credentials.
func (c *call) ping() error {
	base, client, err := c.server()
	if err != nil {
		return err
	}
	r, err := remote.NewRegistry(base.Host)
	if err != nil {
		return slipway.Invalid("SLIPWAY_URL %q names no host", base)
	}
	r.Client, r.PlainHTTP = client, base.Scheme == "http"
	ctx, cancel := context.WithTimeout(c.ctx, time.Minute)
	defer cancel()
	if err := r.Ping(ctx); err != nil {
		return registryError("ask the registry", err)
	}
	return nil
}

func (c *call) acrLogin() (any, error) {
	host, err := c.host()
	if err != nil {
		return nil, err
	}
	_, client, err := c.server()
	if err != nil {
		return nil, err
	}
	if err := c.ping(); err != nil {
		return nil, err
	}
	if c.flag("expose-token") {
		return map[string]any{"accessToken": client.password, "loginServer": host, "username": client.user}, nil
	}
	if c.Docker(c.ctx, strings.NewReader(client.password), io.Discard, "login", "--username", client.user, "--password-stdin", host) != 0 {
		return nil, errReported{exitFailed}
	}
	c.note("The registry %s is this server's: its images are %s/%s.", cmp.Or(c.text("name"), host), host, cmp.Or(c.project(), "PROJECT")+"/NAME")
	_, err = fmt.Fprintln(c.Stdout, "Login Succeeded")
	return nil, err
}

func (c *call) acrCredentials() (any, error) {
	_, client, err := c.server()
	return map[string]any{"username": client.user, "passwords": []any{map[string]any{"name": "password", "value": client.password}}}, err
}

// acrShow is the registry in Azure's form.
func (c *call) acrShow() (any, error) {
	host, err := c.host()
	if err != nil {
		return nil, err
	}
	return map[string]any{"name": cmp.Or(c.text("name"), host), "loginServer": host, "id": "/registries/" + host, "adminUserEnabled": false,
		"provisioningState": "Succeeded", "type": "Slipway/registries", "resourceGroup": c.text("resource-group")}, nil
}

func (c *call) acrList() (any, error) {
	one, err := c.acrShow()
	return []any{one}, err
}

func (c *call) acrCheck() (any, error) {
	host, err := c.host()
	if err != nil {
		return nil, err
	}
	if err := c.ping(); err != nil {
		return nil, err
	}
	c.note("The registry %s answers and takes the credentials.", host)
	return nil, nil
}

func (c *call) acrRepositories() (any, error) {
	base, client, err := c.server()
	if err != nil {
		return nil, err
	}
	r, err := remote.NewRegistry(base.Host)
	if err != nil {
		return nil, slipway.Invalid("SLIPWAY_URL %q names no host", base)
	}
	r.Client, r.PlainHTTP = client, base.Scheme == "http"
	names := []string{}
	err = r.Repositories(c.ctx, "", func(page []string) error {
		names = append(names, page...)
		return tooMany(len(names))
	})
	if err != nil {
		return nil, registryError("list the repositories", err)
	}
	return c.top(names)
}

func tooMany(n int) error {
	if n > maxList {
		return slipway.Limit("there are more than %d", maxList)
	}
	return nil
}

// top cuts a list to --top.
func (c *call) top(names []string) ([]string, error) {
	n, err := c.number("top", len(names))
	return names[:min(n, len(names))], err
}

func (c *call) tags(r *remote.Repository) ([]string, error) {
	tags := []string{}
	err := r.Tags(c.ctx, "", func(page []string) error {
		tags = append(tags, page...)
		return tooMany(len(tags))
	})
	if err != nil {
		return nil, registryError("list the tags of "+r.Reference.Repository, err)
	}
	slices.Sort(tags)
	return tags, nil
}
