package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/cache"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/source"
	httpsource "github.com/moby/buildkit/source/http"
	"github.com/moby/buildkit/util/gitutil"
	"github.com/moby/buildkit/worker/base"
)

// Limits of what a build fetches itself: `ADD https://...`, and contexts from git and HTTP.
const (
	maxFetch     = 2 << 30          // bytes of one HTTP answer
	fetchTimeout = 15 * time.Minute // one HTTP answer or one git fetch
)

// limitSources puts the limits on a worker's git and HTTP sources. Images come by the registries' own way.
func limitSources(w *base.Worker) error {
	web, err := httpsource.NewSource(httpsource.Opt{CacheAccessor: w.CacheMgr, Transport: newFetcher(net.DefaultResolver)})
	if err != nil {
		return fmt.Errorf("make HTTP source: %w", err)
	}
	w.HTTPSource = web
	w.SourceManager.Register(web)
	if w.GitSource != nil {
		w.SourceManager.Register(timedSource{w.GitSource})
	}
	return nil
}

// fetcher is HTTP without the addresses that nobody may fetch from, and with limits.
type fetcher struct{ *http.Transport }

func newFetcher(resolver *net.Resolver) fetcher {
	dialer := &net.Dialer{Timeout: 30 * time.Second, Resolver: resolver, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return checkAddress(to.Addr())
	}}
	return fetcher{&http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
		MaxIdleConns: 10, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}}
}

// RoundTrip (http.RoundTripper) bounds the whole answer.
func (f fetcher) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), fetchTimeout, fmt.Errorf("%s took longer than %s", r.URL.Redacted(), fetchTimeout))
	resp, err := f.Transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.ContentLength > maxFetch {
		resp.Body.Close()
		cancel()
		return nil, tooLarge(r)
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxFetch, request: r, cancel: cancel}
	return resp, nil
}

func tooLarge(r *http.Request) error {
	return fmt.Errorf("%s is larger than %d bytes, the limit of what a build fetches", r.URL.Redacted(), int64(maxFetch))
}

type boundedBody struct {
	io.ReadCloser
	left    int64
	request *http.Request
	cancel  context.CancelFunc
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, tooLarge(b.request)
	}
	return n, err
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// checkSource refuses a git source whose host is, or resolves to, an address that nobody may fetch from. HTTP asks again for
// each connection; git is another program, which is why it is asked here.
func checkSource(op *pb.SourceOp) error {
	remote, ok := strings.CutPrefix(op.GetIdentifier(), "git://")
	if !ok {
		return nil
	}
	if full := op.GetAttrs()[pb.AttrFullRemoteURL]; full != "" {
		remote = full
	}
	u, err := gitutil.ParseURL(remote)
	if err != nil {
		if u, err = gitutil.ParseURL("https://" + remote); err != nil {
			return fmt.Errorf("git source %q: %w", remote, err)
		}
	}
	host := u.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.Trim(host, "[]"))
	if err != nil {
		return fmt.Errorf("git source: the host %s is not known: %w", host, err)
	}
	for _, a := range addresses {
		if err := checkAddress(a); err != nil {
			return fmt.Errorf("git source: %w", err)
		}
	}
	return nil
}

var errOwnAddress = errors.New("is an address of the builder's own machine or link, from which no build may fetch")

// checkAddress refuses loopback, link-local and multicast addresses and those of the builder's own interfaces, behind which
// services listen that a build must not ask.
func checkAddress(a netip.Addr) error {
	a = a.Unmap()
	if a.IsLoopback() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsInterfaceLocalMulticast() {
		return fmt.Errorf("%s %w", a, errOwnAddress)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return fmt.Errorf("list own addresses: %w", err)
	}
	for _, o := range own {
		if p, err := netip.ParsePrefix(o.String()); err == nil && p.Addr().Unmap() == a {
			return fmt.Errorf("%s %w", a, errOwnAddress)
		}
	}
	return nil
}

// timedSource bounds the time of a source.
type timedSource struct{ source.Source }

// Resolve (source.Source) gives an instance with the limit.
func (t timedSource) Resolve(ctx context.Context, id source.Identifier, sm *session.Manager, vtx solver.Vertex) (source.SourceInstance, error) {
	i, err := t.Source.Resolve(ctx, id, sm, vtx)
	if err != nil {
		return nil, err
	}
	return timedInstance{i}, nil
}

type timedInstance struct{ source.SourceInstance }

func (t timedInstance) CacheKey(ctx context.Context, job solver.JobContext, index int) (key, pin string, opts solver.CacheOpts, done bool, err error) {
	ctx, cancel := fetchContext(ctx)
	defer cancel()
	return t.SourceInstance.CacheKey(ctx, job, index)
}

func (t timedInstance) Snapshot(ctx context.Context, job solver.JobContext) (cache.ImmutableRef, error) {
	ctx, cancel := fetchContext(ctx)
	defer cancel()
	return t.SourceInstance.Snapshot(ctx, job)
}

func fetchContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("git took longer than %s", fetchTimeout))
}
