package api

import (
	"net/http"

	"slipway/internal/httpx"
	"slipway/internal/identity"
)

func (b buildRoutes) addTagRoutes() {
	const all, one = "/build/builds/{build}/tags", "/build/builds/{build}/tags/{tag}"
	b.project("GET", "/build/tags", identity.Read, b.projectTags)
	b.project("GET", all, identity.Read, b.tags)
	b.project("POST", all, identity.Contribute, b.addTags)
	b.project("PATCH", all, identity.Contribute, b.updateTags)
	b.project("PUT", one, identity.Contribute, b.addTag)
	b.project("DELETE", one, identity.Contribute, b.removeTag)
}

// maxTagsBody bounds tags that are sent, in bytes.
const maxTagsBody = 64 << 10

// projectTags lists all tags of the project's runs.
func (b buildRoutes) projectTags(w http.ResponseWriter, r request) error {
	tags, err := b.pipelines.Tags(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	return list(w, tags)
}

func (b buildRoutes) tags(w http.ResponseWriter, r request) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	return list(w, run.Tags)
}

// addTags adds the tags of a list.
func (b buildRoutes) addTags(w http.ResponseWriter, r request) error {
	var tags []string
	if err := r.decode(w, maxTagsBody, &tags, `a list of tags, as ["signed"]`); err != nil {
		return err
	}
	return b.changeTags(w, r, tags, nil)
}

// updateTags adds and removes tags.
func (b buildRoutes) updateTags(w http.ResponseWriter, r request) error {
	var body struct {
		Add    []string `json:"tagsToAdd"`
		Remove []string `json:"tagsToRemove"`
	}
	if err := httpx.ReadJSON(w, r.Request, maxTagsBody, &body); err != nil {
		return err
	}
	return b.changeTags(w, r, body.Add, body.Remove)
}

func (b buildRoutes) addTag(w http.ResponseWriter, r request) error {
	return b.changeTags(w, r, []string{r.named("tag")}, nil)
}

func (b buildRoutes) removeTag(w http.ResponseWriter, r request) error {
	return b.changeTags(w, r, nil, []string{r.named("tag")})
}

// changeTags answers with the tags that the run has then.
func (b buildRoutes) changeTags(w http.ResponseWriter, r request, add, remove []string) error {
	run, err := b.run(r)
	if err != nil {
		return err
	}
	tags, err := b.pipelines.ChangeTags(r.Context(), run.ID, add, remove)
	if err != nil {
		return err
	}
	return list(w, tags)
}
