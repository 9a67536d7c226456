package upstream

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"slipway"
)

// maxAnswer bounds lists of tags and referrers, in bytes; manifests too, unless the caller has a smaller limit.
const maxAnswer = 4 << 20

// accept is every kind of manifest that the registry keeps.
var accept = http.Header{"Accept": {strings.Join([]string{
	"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
}, ", ")}}

// Manifest is a manifest as the registry sends it. Nothing of it is verified.
type Manifest struct {
	Digest    slipway.Digest // what the registry says; empty when it says nothing
	MediaType string
	ETag      string
	Content   []byte // nil of a Head, and of one that has not changed
	Unchanged bool
}

// Head asks what a tag or digest stands for. Registries that count pulls do not count it.
func (c *Client) Head(ctx context.Context, repository, reference string) (Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.do(ctx, http.MethodHead, repository, "/manifests/"+reference, accept)
	if err != nil {
		return Manifest{}, err
	}
	answer.Body.Close()
	return described(answer), nil
}

// Manifest fetches a manifest by tag or digest, unless the one with the entity tag is still the one.
func (c *Client) Manifest(ctx context.Context, repository, reference, etag string) (Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	header := accept.Clone()
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	answer, err := c.do(ctx, http.MethodGet, repository, "/manifests/"+reference, header)
	if err != nil {
		return Manifest{}, err
	}
	m := described(answer)
	if answer.StatusCode == http.StatusNotModified {
		answer.Body.Close()
		m.Unchanged = true
		return m, nil
	}
	m.Content, err = body(answer, maxAnswer)
	return m, err
}

func described(answer *http.Response) Manifest {
	m := Manifest{MediaType: answer.Header.Get("Content-Type"), ETag: answer.Header.Get("ETag")}
	if d, err := slipway.ParseDigest(answer.Header.Get("Docker-Content-Digest")); err == nil {
		m.Digest = d
	}
	return m
}

// StatBlob is a blob's length, -1 when the registry does not say.
func (c *Client) StatBlob(ctx context.Context, repository string, d slipway.Digest) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.do(ctx, http.MethodHead, repository, "/blobs/"+string(d), nil)
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	return answer.ContentLength, nil
}

// Blob opens a blob for reading, and says its length, -1 when it is not known. The caller closes it. Reading fails when
// nothing comes for a minute.
func (c *Client) Blob(ctx context.Context, repository string, d slipway.Digest) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	answer, err := c.do(ctx, http.MethodGet, repository, "/blobs/"+string(d), nil) //nolint:bodyclose // the reader that is returned closes it
	if err != nil {
		cancel()
		return nil, 0, err
	}
	return &blobReader{body: answer.Body, idle: time.AfterFunc(idleTimeout, cancel), cancel: cancel}, answer.ContentLength, nil
}

type blobReader struct {
	body   io.ReadCloser
	idle   *time.Timer
	cancel context.CancelFunc
}

func (b *blobReader) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.idle.Reset(idleTimeout)
	return n, err
}

func (b *blobReader) Close() error {
	b.idle.Stop()
	b.cancel()
	return b.body.Close()
}

// Tags lists up to n tags after last, and says whether there are more.
func (c *Client) Tags(ctx context.Context, repository string, n int, last string) (tags []string, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	query := url.Values{"n": {strconv.Itoa(n)}}
	if last != "" {
		query.Set("last", last)
	}
	answer, err := c.do(ctx, http.MethodGet, repository, "/tags/list?"+query.Encode(), nil)
	if err != nil {
		return nil, false, err
	}
	more = strings.Contains(answer.Header.Get("Link"), `rel="next"`)
	b, err := body(answer, maxAnswer)
	if err != nil {
		return nil, false, err
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, false, &Error{Kind: Invalid, Message: "its list of tags is not the JSON expected", Err: err}
	}
	return list.Tags, more, nil
}

// Referrers is the index of what is about a digest, as the registry sends it; artifactType filters when not empty and
// the registry can.
func (c *Client) Referrers(ctx context.Context, repository string, d slipway.Digest, artifactType string) (content []byte, filtered bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	path := "/referrers/" + string(d)
	if artifactType != "" {
		path += "?" + url.Values{"artifactType": {artifactType}}.Encode()
	}
	answer, err := c.do(ctx, http.MethodGet, repository, path, nil)
	if err != nil {
		return nil, false, err
	}
	filtered = strings.Contains(answer.Header.Get("OCI-Filters-Applied"), "artifactType")
	content, err = body(answer, maxAnswer)
	if err == nil && !json.Valid(content) {
		err = &Error{Kind: Invalid, Message: "its list of referrers is not JSON"}
	}
	return content, filtered, err
}
