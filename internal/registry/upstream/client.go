// Package upstream is the client of other registries whose images Slipway keeps copies of: it asks for manifests,
// blobs, tags and referrers (OCI distribution specification, version 1.1), signs in as the registry demands, and
// waits when the registry says so. It keeps no copy and has no tables.
//
// A registry sends its clients elsewhere, to storage and to servers of tokens. Those must have public addresses unless
// the registry itself has none, so that a registry cannot make this machine ask its neighbours.
package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/internal/clock"
	"slipway/internal/httpx"
)

// Limits of what an upstream may make this side do.
const (
	maxRedirects   = 5
	maxSessions    = 500 // repositories for which a token is kept
	headerTimeout  = 30 * time.Second
	requestTimeout = time.Minute // of a whole request that is not for a blob
	idleTimeout    = time.Minute // between two pieces of a blob
	blobTimeout    = 2 * time.Hour
)

// Options say which registry, and as whom.
type Options struct {
	URL                string         // https://HOST[:PORT], or http:// for one without TLS
	Username, Password string         // both empty: anonymous
	Networks           []netip.Prefix // that the registry may send its clients to besides public addresses
	Clock              clock.Clock
}

// Client asks one registry. It is safe for concurrent use.
type Client struct {
	options  Options
	registry name.Registry
	scheme   string
	address  string // HOST:PORT of the registry
	proxy    string // HOST:PORT of the proxy that leads there; empty for none
	base     http.RoundTripper
	plain    net.Dialer

	mu       sync.Mutex
	sessions map[string]http.RoundTripper // by repository
	pause    pause
}

// CheckURL says whether text is the address of a registry.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%.200q is not the address of a registry: write https://HOST or https://HOST:PORT", text)
	}
	return u, nil
}

// New makes a client. Nothing is asked yet.
func New(o Options) (*Client, error) {
	u, err := CheckURL(o.URL)
	if err != nil {
		return nil, err
	}
	options := []name.Option{name.StrictValidation}
	if u.Scheme == "http" {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(u.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("%q is not the address of a registry: %w", o.URL, err)
	}
	c := &Client{options: o, registry: registry, scheme: u.Scheme, address: hostPort(u), plain: net.Dialer{Timeout: 10 * time.Second}, sessions: map[string]http.RoundTripper{}}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err == nil && proxy != nil {
		c.proxy = hostPort(proxy)
	}
	c.base = &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: c.dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: headerTimeout,
		MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, DisableCompression: true}
	return c, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// dial connects to the registry itself wherever it is, and to others as the package's promise has it.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if strings.EqualFold(address, c.address) || address == c.proxy || c.private(ctx) {
		return c.plain.DialContext(ctx, network, address)
	}
	return httpx.OutboundDialer(c.options.Networks).DialContext(ctx, network, address)
}

// private reports that the registry has an address which is not public.
func (c *Client) private(ctx context.Context) bool {
	host, _, err := net.SplitHostPort(c.address)
	if err != nil {
		return false
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for _, a := range list {
		if err == nil && !httpx.IsPublic(a) {
			return true
		}
	}
	return false
}

// session is the transport with a token for the repository.
func (c *Client) session(ctx context.Context, repository string) (http.RoundTripper, error) {
	c.mu.Lock()
	kept := c.sessions[repository]
	c.mu.Unlock()
	if kept != nil {
		return kept, nil
	}
	auth := authn.Anonymous
	if c.options.Username != "" || c.options.Password != "" {
		auth = &authn.Basic{Username: c.options.Username, Password: c.options.Password}
	}
	made, err := transport.NewWithContext(ctx, c.registry, auth, roundTripper(c.round), []string{"repository:" + repository + ":pull"})
	if err != nil {
		return nil, c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sessions) >= maxSessions {
		clear(c.sessions)
	}
	c.sessions[repository] = made
	return made, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errScheme = errors.New("the registry's address says another scheme")

// round is below the signing-in. It keeps to the scheme of the registry's address, and hears when to wait.
func (c *Client) round(r *http.Request) (*http.Response, error) {
	if strings.EqualFold(hostPort(r.URL), c.address) && r.URL.Scheme != c.scheme || r.URL.Host == c.registry.RegistryStr() && r.URL.Scheme != c.scheme {
		return nil, errScheme
	}
	answer, err := c.base.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusTooManyRequests {
		c.wait(answer.Header.Get("Retry-After"))
	}
	return answer, err
}

// redirected judges one more hop.
func (c *Client) redirected(r *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || c.scheme == "https") {
		return fmt.Errorf("it redirects to %s without TLS", r.URL.Host)
	}
	return nil
}

// do sends a request for the repository. The caller closes the answer's body; another status than 200 is an error.
func (c *Client) do(ctx context.Context, method, repository, path string, header http.Header) (*http.Response, error) {
	if until := c.Paused(); !until.IsZero() {
		return nil, &Error{Kind: Limited, Until: until, Message: "it limits how much is asked of it"}
	}
	session, err := c.session(ctx, repository)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, method, c.scheme+"://"+c.registry.RegistryStr()+"/v2/"+repository+path, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		r.Header[key] = values
	}
	client := &http.Client{Transport: session, CheckRedirect: c.redirected}
	answer, err := client.Do(r)
	if err != nil {
		return nil, c.failed(err)
	}
	c.answered()
	if answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusNotModified {
		return answer, nil
	}
	err = c.refused(answer)
	answer.Body.Close()
	if e := (*Error)(nil); errors.As(err, &e) && e.Kind == Denied {
		c.forget(repository)
	}
	return nil, err
}

// forget drops the repository's token: what it may do can have changed.
func (c *Client) forget(repository string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, repository)
}

// body reads an answer's body of at most limit bytes.
func body(answer *http.Response, limit int64) ([]byte, error) {
	defer answer.Body.Close()
	b, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, &Error{Kind: Unavailable, Message: "its answer broke off", Err: err}
	}
	if int64(len(b)) > limit {
		return nil, &Error{Kind: Invalid, Message: fmt.Sprintf("its answer has more than %d bytes", limit)}
	}
	return b, nil
}
