package ociserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"slipway"
	"slipway/internal/registry"
)

// maybe lists what may be the case: one thing, or after a kill two.
type maybe[T comparable] []T

func (m maybe[T]) sure() bool { return len(m) == 1 }

// pusher is a client that remembers what it was told. Everything that it pushes has bytes of its own.
type pusher struct {
	*world
	check     testing.TB
	id        int
	random    *rand.Rand
	made      int
	done      int
	killBody  func()                           // to be called in the middle of the next body
	blobs     map[string]maybe[bool]           // contents: are they in the repository?
	copies    map[string]maybe[bool]           // contents: are they mounted in the second one?
	manifests map[string]maybe[bool]           // contents, of which each has a tag or had one
	tags      map[string]maybe[slipway.Digest] // empty for none
	fading    map[string]maybe[bool]           // manifests in the second repository, which retention removes
	full      map[string]maybe[bool]           // contents in a repository with a quota
	halves    []string                         // first halves of blobs whose other half never came
	open      map[string]maybe[string]         // uploads under way: what they hold
}

func newPusher(id int, random *rand.Rand) *pusher {
	return &pusher{id: id, random: random, blobs: map[string]maybe[bool]{}, copies: map[string]maybe[bool]{},
		manifests: map[string]maybe[bool]{}, tags: map[string]maybe[slipway.Digest]{}, open: map[string]maybe[string]{},
		fading: map[string]maybe[bool]{}, full: map[string]maybe[bool]{}}
}

func (p *pusher) repo() string   { return fmt.Sprintf("/v2/shop/web%d", p.id) }
func (p *pusher) second() string { return fmt.Sprintf("/v2/shop/copy%d", p.id) }

func (p *pusher) small() string { return "/v2/" + fmt.Sprintf(quotaPattern, p.id) }

// content is new, between a few bytes and 200 KB long.
func (p *pusher) content() string {
	p.made++
	unit := fmt.Sprintf("%d of %d. ", p.made, p.id)
	return strings.Repeat(unit, 1+p.random.IntN(20_000))
}

// body is content as a request sends it; the registry is killed in its middle when it is the turn.
func (p *pusher) body(content string) io.Reader {
	if p.killBody == nil || len(content) < 10_000 {
		return strings.NewReader(content)
	}
	kill, at := p.killBody, p.random.IntN(len(content))
	p.killBody = nil
	return io.MultiReader(strings.NewReader(content[:at]), killing(kill), strings.NewReader(content[at:]))
}

// killing is a reader of nothing that kills when it is reached.
type killing func()

func (k killing) Read([]byte) (int, error) { k(); return 0, io.EOF }

var errOther = errors.New("the answer is not the one expected")

// call sends a request; the error says that the registry is gone, or not well.
func (p *pusher) call(method, path, content string, want int) (*http.Response, error) {
	answer, said, err := p.send(method, path, p.body(content))
	if err == nil && answer.StatusCode != want {
		p.check.Errorf("%s %s: %s %s, want %d", method, path, answer.Status, said, want)
		return nil, errOther
	}
	return answer, err
}

// operate does one random thing. An error ends the round.
func (p *pusher) operate() error {
	operations := []func() error{p.pushWhole, p.pushWhole, p.pushInTwo, p.pushChunks, p.mountOne, p.pushImage, p.pushImage, p.pushImage, p.pushFading, p.pushFull, p.pushFull, p.deleteFull, p.deleteTag,
		p.deleteManifest, p.deleteBlob, p.cancel, p.breakOff, p.leaveOpen}
	return operations[p.random.IntN(len(operations))]()
}

// expect notes that the next answer decides whether something is so, and returns what to call when it has come.
func expect[K, T comparable](m map[K]maybe[T], key K, value T) (acknowledged func()) {
	if !slices.Contains(m[key], value) {
		m[key] = append(m[key], value)
	}
	return func() { m[key] = maybe[T]{value} }
}

// new makes a content that is not there.
func (p *pusher) new() string {
	content := p.content()
	p.blobs[content] = maybe[bool]{false}
	return content
}

func digestQuery(content string) string {
	return "?digest=" + string(registry.DigestOf("sha256", []byte(content)))
}

func (p *pusher) pushWhole() error {
	content := p.new()
	acknowledged := expect(p.blobs, content, true)
	_, err := p.call("POST", p.repo()+"/blobs/uploads/"+digestQuery(content), content, http.StatusCreated)
	if err == nil {
		acknowledged()
	}
	return err
}

// pushInTwo begins an upload and sends the whole blob with its end, as crane does.
func (p *pusher) pushInTwo() error {
	answer, err := p.call("POST", p.repo()+"/blobs/uploads/", "", http.StatusAccepted)
	if err != nil {
		return err
	}
	return p.finish(answer.Header.Get("Location"), p.new(), 0)
}

// finish sends what is left of content and ends the upload.
func (p *pusher) finish(upload, content string, sent int) error {
	if p.blobs[content] == nil {
		p.blobs[content] = maybe[bool]{false}
	}
	acknowledged := expect(p.blobs, content, true)
	_, err := p.call("PUT", upload+digestQuery(content), content[sent:], http.StatusCreated)
	if err == nil {
		acknowledged()
	}
	return err
}

// begin starts an upload and sends chunks of content until parts of it are there.
func (p *pusher) begin(content string, parts int) (upload string, sent int, err error) {
	answer, err := p.call("POST", p.repo()+"/blobs/uploads/", "", http.StatusAccepted)
	if err != nil {
		return "", 0, err
	}
	upload = answer.Header.Get("Location")
	p.open[upload] = maybe[string]{""}
	for range parts {
		next := sent + p.random.IntN(len(content)-sent+1)
		acknowledged := expect(p.open, upload, content[:next])
		if _, err := p.call("PATCH", upload, content[sent:next], http.StatusAccepted); err != nil {
			return "", 0, err
		}
		acknowledged()
		sent = next
	}
	return upload, sent, nil
}

func (p *pusher) pushChunks() error {
	content := p.content()
	upload, sent, err := p.begin(content, 1+p.random.IntN(3))
	if err != nil {
		return err
	}
	delete(p.open, upload) // after its end it may be gone
	return p.finish(upload, content, sent)
}

func (p *pusher) leaveOpen() error {
	content := p.content()
	if len(content) < 2 {
		return nil
	}
	_, _, err := p.begin(content, 2)
	return err
}

func (p *pusher) cancel() error {
	content := p.content()
	upload, sent, err := p.begin(content, 1)
	if err != nil {
		return err
	}
	delete(p.open, upload)
	p.halves = append(p.halves, content[:sent])
	_, err = p.call("DELETE", upload, "", http.StatusNoContent)
	return err
}

// breakOff is a client that goes away in the middle of a blob.
func (p *pusher) breakOff() error {
	content := p.new()
	half := content[:len(content)/2]
	p.halves = append(p.halves, half)
	r, err := http.NewRequestWithContext(context.Background(), "POST", p.url+p.repo()+"/blobs/uploads/"+digestQuery(content), io.MultiReader(strings.NewReader(half), broken{}))
	if err != nil {
		return err
	}
	r.ContentLength = int64(len(content))
	r.SetBasicAuth("any", p.admin)
	answer, err := http.DefaultClient.Do(r)
	if err == nil {
		answer.Body.Close()
		p.check.Errorf("half a blob was answered with %s", answer.Status)
	}
	return nil // whether the registry is gone too the next operation finds out
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the client goes away") }

// one chooses a thing that is surely so.
func one[K, T comparable](p *pusher, m map[K]maybe[T], is func(T) bool, less func(a, b K) int) (key K, found bool) {
	var list []K
	for k, v := range m {
		if v.sure() && is(v[0]) {
			list = append(list, k)
		}
	}
	if len(list) == 0 {
		return key, false
	}
	slices.SortFunc(list, less) // so that the seed decides
	return list[p.random.IntN(len(list))], true
}

func yes(b bool) bool { return b }

func (p *pusher) mountOne() error {
	content, ok := one(p, p.blobs, yes, strings.Compare)
	if !ok || p.copies[content] != nil {
		return p.pushWhole()
	}
	p.copies[content] = maybe[bool]{false}
	acknowledged := expect(p.copies, content, true)
	path := p.second() + "/blobs/uploads/?mount=" + string(registry.DigestOf("sha256", []byte(content))) + "&from=" + strings.TrimPrefix(p.repo(), "/v2/")
	_, err := p.call("POST", path, "", http.StatusCreated)
	if err == nil {
		acknowledged()
	}
	return err
}

func (p *pusher) pushImage() error {
	for range 2 {
		if err := p.pushWhole(); err != nil {
			return err
		}
	}
	manifest := p.image(p.blobs)
	if manifest == "" {
		return nil
	}
	tag := fmt.Sprintf("t%d", p.random.IntN(5))
	if p.random.IntN(4) == 0 {
		tag = fmt.Sprint(fadingTag, p.made)
	}
	if p.tags[tag] == nil {
		p.tags[tag] = maybe[slipway.Digest]{""}
	}
	p.manifests[manifest] = maybe[bool]{false}
	tagged, stored := expect(p.tags, tag, registry.DigestOf("sha256", []byte(manifest))), expect(p.manifests, manifest, true)
	_, err := p.call("PUT", p.repo()+"/manifests/"+tag, manifest, http.StatusCreated)
	if err == nil {
		tagged()
		stored()
	}
	p.fade()
	return err
}

// image makes a new manifest of some of the contents that are surely there; empty when chance takes none.
func (p *pusher) image(there map[string]maybe[bool]) string {
	var named []registry.Descriptor
	for _, content := range slices.Sorted(maps.Keys(there)) {
		if there[content].sure() && there[content][0] && p.random.IntN(4) == 0 {
			named = append(named, registry.Descriptor{MediaType: "application/octet-stream", Digest: string(registry.DigestOf("sha256", []byte(content))), Size: int64(len(content))})
		}
	}
	if len(named) == 0 {
		return ""
	}
	p.made++
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": registry.TypeOCIManifest, "config": named[0], "layers": named[1:],
		"annotations": map[string]string{"made": fmt.Sprint(p.made)}})
	if err != nil {
		p.check.Error(err)
	}
	return string(manifest)
}

func (p *pusher) deleteTag() error {
	tag, ok := one(p, p.tags, func(d slipway.Digest) bool { return d != "" }, strings.Compare)
	if !ok {
		return p.pushWhole()
	}
	acknowledged := expect(p.tags, tag, "")
	_, err := p.call("DELETE", p.repo()+"/manifests/"+tag, "", http.StatusAccepted)
	if err == nil {
		acknowledged()
	}
	return err
}

func (p *pusher) deleteManifest() error {
	manifest, ok := one(p, p.manifests, yes, strings.Compare)
	if !ok {
		return p.pushWhole()
	}
	d := registry.DigestOf("sha256", []byte(manifest))
	acknowledged := []func(){expect(p.manifests, manifest, false)}
	for tag, stands := range p.tags {
		if slices.Contains(stands, d) {
			acknowledged = append(acknowledged, expect(p.tags, tag, ""))
		}
	}
	_, err := p.call("DELETE", p.repo()+"/manifests/"+string(d), "", http.StatusAccepted)
	if err == nil {
		for _, f := range acknowledged {
			f()
		}
	}
	return err
}

// deleteBlob takes away a blob that no image needs.
func (p *pusher) deleteBlob() error {
	content, ok := one(p, p.blobs, yes, strings.Compare)
	if !ok {
		return p.pushWhole()
	}
	d := string(registry.DigestOf("sha256", []byte(content)))
	for manifest := range p.manifests {
		if strings.Contains(manifest, d) {
			return p.pushWhole()
		}
	}
	acknowledged := expect(p.blobs, content, false)
	_, err := p.call("DELETE", p.repo()+"/blobs/"+d, "", http.StatusAccepted)
	if err == nil {
		acknowledged()
	}
	return err
}
