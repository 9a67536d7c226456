package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"slipway/internal/registry"
)

// lockText says what a lock forbids, empty when that is nothing.
func lockText(l registry.Lock) string {
	var list []string
	for _, name := range l.Strings() {
		list = append(list, map[string]string{"delete": "not deleted", "write": "not changed", "read": "not pulled"}[name])
	}
	return strings.Join(list, ", ")
}

// lockForm is the lock of a tag or of an image.
type lockForm struct {
	Reference, Name     string
	Delete, Write, Read bool
}

func newLockForm(reference, name string, l registry.Lock) lockForm {
	return lockForm{reference, name, l&registry.LockDelete != 0, l&registry.LockWrite != 0, l&registry.LockRead != 0}
}

// text is what is forbidden.
func (f lockForm) text() string {
	var l registry.Lock
	for what, is := range map[registry.Lock]bool{registry.LockDelete: f.Delete, registry.LockWrite: f.Write, registry.LockRead: f.Read} {
		if is {
			l |= what
		}
	}
	return lockText(l)
}

// maxLockForms bounds the tags of an image whose locks its page shows.
const maxLockForms = 20

// locks are those of an image's tags, and its own.
func (p imagesPages) locks(ctx context.Context, repo registry.Repository, m registry.Manifest) ([]lockForm, error) {
	tags, _, err := p.registry.TagPage(ctx, repo, registry.Page{Digest: m.Digest, Limit: maxLockForms})
	if err != nil {
		return nil, err
	}
	list := []lockForm{newLockForm(string(m.Digest), "the image itself", m.Lock)}
	for _, t := range tags {
		list = append(list, newLockForm(t.Name, t.Name, t.Lock))
	}
	return list, nil
}

// isLocked reports whether any of them forbids something.
func isLocked(list []lockForm) bool {
	return slices.ContainsFunc(list, func(f lockForm) bool { return f.Delete || f.Write || f.Read })
}

// lock does what the forms of locks ask for; without a reference the repository is meant.
func (p imagesPages) lock(w http.ResponseWriter, r *http.Request, v View, repo registry.Repository) error {
	l, err := registry.ParseLock(r.Form["forbid"])
	if err != nil {
		return err
	}
	reference := r.FormValue("reference")
	if err := p.registry.SetLock(r.Context(), repo, reference, l, v.Caller.Actor); err != nil {
		return err
	}
	if reference == "" {
		return p.Redirect(w, r, repositoryURL(v, repo.Name)+"?settings")
	}
	m, err := p.registry.GetManifest(r.Context(), repo, reference)
	if err != nil {
		return err
	}
	return p.Redirect(w, r, imageURL(v, repo.Name, m.Digest)+"#locks")
}
