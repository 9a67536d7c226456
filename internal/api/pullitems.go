package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"slipway"
	"slipway/internal/boards"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// ResourceRef names a work item.
type ResourceRef struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

func (g gitRoutes) listWorkItems(w http.ResponseWriter, r request) error {
	_, p, err := g.pull(r)
	if err != nil {
		return err
	}
	out, err := g.workItems(r, p)
	if err != nil {
		return err
	}
	return list(w, out)
}

// workItems are those that are linked to a pull request.
func (g gitRoutes) workItems(r request, p repos.PullRequest) ([]ResourceRef, error) {
	items, err := g.boards.List(r.Context(), boards.Filter{Project: r.project.ID, Reference: slipway.Ref(slipway.RefPullRequest, p.ID)})
	var out []ResourceRef
	for _, i := range items {
		out = append(out, ResourceRef{i.ID.String(), fmt.Sprintf("%s/%s/_workitems/edit/%d", g.url, url.PathEscape(r.project.Name), i.ID)})
	}
	return out, err
}

// maxLinkedItems bounds the work items that a new pull request names.
const maxLinkedItems = 100

// namedItems are the work items that a new pull request is to be linked with. They are looked for before anything is made.
func (g gitRoutes) namedItems(r request, body pullRequestBody) ([]slipway.WorkItemID, error) {
	if len(body.WorkItemRefs) == 0 {
		return nil, nil
	}
	if len(body.WorkItemRefs) > maxLinkedItems {
		return nil, at("workItemRefs", slipway.Limit("name at most %d work items at once", maxLinkedItems))
	}
	if err := g.identity.Authorize(r.Context(), r.caller, identity.Contribute, r.project.ID); err != nil {
		return nil, err
	}
	var list []slipway.WorkItemID
	for _, ref := range body.WorkItemRefs {
		n, err := strconv.ParseInt(string(ref.ID), 10, 64)
		if err != nil || n <= 0 {
			return nil, at("workItemRefs", slipway.Invalid("%q is no number of a work item", string(ref.ID)))
		}
		item, err := g.boards.Get(r.Context(), slipway.WorkItemID(n))
		if err == nil && item.Project != r.project.ID {
			err = slipway.NotFound("there is no work item %d", n)
		}
		if err != nil {
			return nil, at("workItemRefs", err)
		}
		list = append(list, item.ID)
	}
	return list, nil
}

// linkItems links a new pull request with work items.
func (g gitRoutes) linkItems(r request, repo repos.Repository, p repos.PullRequest, items []slipway.WorkItemID) error {
	link := boards.Link{To: slipway.Ref(slipway.RefPullRequest, p.ID), Title: p.Title, By: r.caller.Actor, Time: p.Created,
		URL: fmt.Sprintf("/%s/_git/%s/pullrequest/%s", r.project.Name, url.PathEscape(repo.Name), p.ID)}
	for _, id := range items {
		if _, err := g.boards.Link(r.Context(), r.caller.Actor, id, link); err != nil {
			return err
		}
	}
	return nil
}
