package ociserver_test

import (
	"io"
	"net/http"
	"strings"

	"slipway/internal/registry"
)

// fade says that what retention removes may have gone at any moment.
func (p *pusher) fade() {
	for tag, may := range p.tags {
		if strings.HasPrefix(tag, fadingTag) && may.sure() && may[0] != "" {
			p.tags[tag] = append(may, "")
		}
	}
	for manifest, may := range p.fading {
		if may.sure() && may[0] {
			p.fading[manifest] = append(may, false)
		}
	}
}

// pushFading pushes an image without a tag to the second repository, of what was mounted there.
func (p *pusher) pushFading() error {
	if err := p.mountOne(); err != nil {
		return err
	}
	manifest := p.image(p.copies)
	if manifest == "" {
		return nil
	}
	p.fading[manifest] = maybe[bool]{false}
	stored := expect(p.fading, manifest, true)
	_, err := p.call("PUT", p.second()+"/manifests/"+string(registry.DigestOf("sha256", []byte(manifest))), manifest, http.StatusCreated)
	if err == nil {
		stored()
	}
	p.fade()
	return err
}

// pushFull pushes to the repository with a quota, half of the time without saying how much it will be.
func (p *pusher) pushFull() error {
	content := p.content()
	content = content[:min(len(content), 200_000)] // what a server reads to its end before it hangs up
	p.full[content] = maybe[bool]{false}
	acknowledged := expect(p.full, content, true)
	var body io.Reader = strings.NewReader(content)
	if p.random.IntN(2) == 0 {
		body = io.MultiReader(body)
	}
	answer, said, err := p.send("POST", p.small()+"/blobs/uploads/"+digestQuery(content), body)
	switch {
	case err != nil:
	case answer.StatusCode == http.StatusCreated:
		acknowledged()
	case answer.StatusCode == http.StatusForbidden && strings.Contains(string(said), "quota"):
		p.full[content] = maybe[bool]{false}
	default:
		p.check.Errorf("push to a repository with a quota: %s %s", answer.Status, said)
		return errOther
	}
	return err
}

func (p *pusher) deleteFull() error {
	content, ok := one(p, p.full, yes, strings.Compare)
	if !ok {
		return p.pushFull()
	}
	acknowledged := expect(p.full, content, false)
	_, err := p.call("DELETE", p.small()+"/blobs/"+string(registry.DigestOf("sha256", []byte(content))), "", http.StatusAccepted)
	if err == nil {
		acknowledged()
	}
	return err
}
