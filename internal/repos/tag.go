package repos

import (
	"context"
	"fmt"
	"strings"

	"slipway"
)

// Tag is an annotated tag, an object of its own.
type Tag struct {
	Object  string // its name
	Name    string
	Target  string // the object that is tagged
	Kind    string // of it: commit, tree, blob, tag
	Tagger  Signature
	Message string
}

// TagObject reads an annotated tag by its object's name. What is no tag is NotFound.
func (s *Service) TagObject(ctx context.Context, id slipway.RepositoryID, object string) (Tag, error) {
	if !objectLine().MatchString(object) {
		return Tag{}, slipway.Invalid("%q is no object's name", shorten(object, 80))
	}
	tags, err := s.TagObjects(ctx, id, []string{object})
	if err != nil {
		return Tag{}, err
	}
	t, ok := tags[object]
	if !ok {
		return Tag{}, slipway.NotFound("the repository has no annotated tag %s", object)
	}
	return t, nil
}

// TagObjects reads the annotated tags among some objects, by their names.
func (s *Service) TagObjects(ctx context.Context, id slipway.RepositoryID, objects []string) (map[string]Tag, error) {
	tags := map[string]Tag{}
	err := s.readers.with(ctx, s.dir(id), func(r *reader) error {
		infos, err := r.infos(objects)
		if err != nil {
			return err
		}
		for i, o := range infos {
			if o.kind != "tag" || o.size > maxCommit {
				continue
			}
			_, data, err := r.contents(o.id, maxCommit)
			if err != nil {
				return err
			}
			if tags[objects[i]], err = parseTag(o.id, string(data)); err != nil {
				return fmt.Errorf("read tag %s: %w", o.id, err)
			}
		}
		return nil
	})
	return tags, err
}

func parseTag(object, data string) (Tag, error) {
	head, message, _ := strings.Cut(data, "\n\n")
	if i := strings.Index(message, "-----BEGIN "); i >= 0 && (i == 0 || message[i-1] == '\n') {
		message = message[:i] // its signature
	}
	t := Tag{Object: object, Message: strings.ToValidUTF8(strings.TrimSpace(message), "\uFFFD")}
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		var err error
		switch key {
		case "object":
			t.Target = value
		case "type":
			t.Kind = value
		case "tag":
			t.Name = strings.ToValidUTF8(value, "\uFFFD")
		case "tagger":
			t.Tagger, err = parseSignature(value)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}
