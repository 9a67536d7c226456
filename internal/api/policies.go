package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
	"slipway/internal/repos/policy"
)

// Validate queues the run that a branch policy wants; the loop does.
type Validate func(ctx context.Context, w repos.WantedBuild, by slipway.Actor) (slipway.RunID, error)

type policyRoutes struct {
	*Server
	repos    *repos.Service
	validate Validate
}

// AddPolicies serves branch policies as Azure DevOps' policy area does, and the right to bypass them.
func (s *Server) AddPolicies(r *repos.Service, validate Validate) {
	p := policyRoutes{s, r, validate}
	s.project("GET", "/policy/types", identity.Read, p.types)
	s.project("GET", "/policy/types/{type}", identity.Read, p.kind)
	s.project("GET", "/policy/configurations", identity.Read, p.configurations)
	s.project("POST", "/policy/configurations", identity.Administer, p.create)
	s.project("GET", "/policy/configurations/{configuration}", identity.Read, p.configuration)
	s.project("PUT", "/policy/configurations/{configuration}", identity.Administer, p.update)
	s.project("DELETE", "/policy/configurations/{configuration}", identity.Administer, p.delete)
	s.project("GET", "/git/policy/configurations", identity.Read, p.configurations)
	s.project("GET", "/policy/evaluations", identity.Read, p.evaluations)
	s.project("GET", "/policy/evaluations/{evaluation}", identity.Read, p.evaluation)
	s.project("PATCH", "/policy/evaluations/{evaluation}", identity.Contribute, p.requeue)
	s.project("GET", "/slipway/repositories/{repo}/bypasses", identity.Read, p.bypasses)
	s.project("PUT", "/slipway/repositories/{repo}/bypasses/{user}", identity.Administer, p.setBypass)
}

// policyTypes are Azure DevOps' ids of the kinds. The map is never changed. Azure DevOps has no policy of code owners.
var policyTypes = map[policy.Kind]string{
	policy.MinimumReviewers:  "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd",
	policy.RequiredReviewers: "fd2167ab-b0be-447a-8ec8-39368250530e",
	policy.CodeOwners:        "0b8a1c55-5b3f-4f0e-9a35-7f3a3f6f2b61",
	policy.Build:             "0609b952-1397-4640-95ec-e00a01b2c241",
	policy.Status:            "cbdc66da-9728-4af8-aada-9a5a32e4a226",
	policy.WorkItems:         "40e92b44-2fe1-4dd6-b3d8-74a9c21d0c6e",
	policy.Comments:          "c6a1889d-b943-4856-b76f-9e46bb6b0df2",
	policy.MergeTypes:        "fa4e907d-c16b-4a4c-9dfa-4916e5d171ab",
}

// PolicyType is Azure DevOps' PolicyType.
type PolicyType struct {
	ID          string `json:"id"`
	DisplayName string `json:"displayName"`
	URL         string `json:"url"`
}

// PolicyConfiguration is Azure DevOps' PolicyConfiguration.
type PolicyConfiguration struct {
	ID          int64          `json:"id"`
	Revision    int64          `json:"revision"`
	Type        PolicyType     `json:"type"`
	URL         string         `json:"url"`
	CreatedBy   *IdentityRef   `json:"createdBy"`
	CreatedDate time.Time      `json:"createdDate"`
	IsEnabled   bool           `json:"isEnabled"`
	IsBlocking  bool           `json:"isBlocking"`
	IsDeleted   bool           `json:"isDeleted"`
	Settings    map[string]any `json:"settings"`
}

// policyScope is the part of the settings that says on which branches a policy is.
type policyScope struct {
	RepositoryID *string `json:"repositoryId"` // null for all of the project
	RefName      string  `json:"refName,omitempty"`
	MatchKind    string  `json:"matchKind"` // exact, prefix, defaultBranch, in any case
}

func (p policyRoutes) address(project identity.Project, rest string) string {
	return fmt.Sprintf("%s/%s/_apis/policy/%s", p.url, url.PathEscape(project.Name), rest)
}

func (p policyRoutes) policyType(project identity.Project, k policy.Kind) PolicyType {
	return PolicyType{ID: policyTypes[k], DisplayName: k.Title(), URL: p.address(project, "types/"+policyTypes[k])}
}

func (p policyRoutes) shape(project identity.Project, one policy.Policy) (PolicyConfiguration, error) {
	out := PolicyConfiguration{ID: one.ID, Revision: one.Revision, Type: p.policyType(project, one.Kind), URL: p.address(project, fmt.Sprintf("configurations/%d", one.ID)),
		CreatedBy: identityRef(one.CreatedBy), CreatedDate: one.Created, IsEnabled: one.Enabled, IsBlocking: one.Blocking}
	b, err := json.Marshal(one.Settings)
	if err != nil {
		return out, fmt.Errorf("encode settings: %w", err)
	}
	if err := json.Unmarshal(b, &out.Settings); err != nil {
		return out, fmt.Errorf("decode settings: %w", err)
	}
	scope := policyScope{RefName: one.Scope.Ref, MatchKind: string(one.Scope.Match)}
	if one.Scope.Repository != "" {
		id := string(one.Scope.Repository)
		scope.RepositoryID = &id
	}
	out.Settings["scope"] = []policyScope{scope}
	return out, nil
}

func (p policyRoutes) types(w http.ResponseWriter, r request) error {
	var out []PolicyType
	for _, k := range policy.Kinds() {
		out = append(out, p.policyType(r.project, k))
	}
	return list(w, out)
}

func (p policyRoutes) kind(w http.ResponseWriter, r request) error {
	k, err := policyKind(chi.URLParam(r.Request, "type"))
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, p.policyType(r.project, k))
	return nil
}

func policyKind(id string) (policy.Kind, error) {
	var known []string
	for _, k := range policy.Kinds() {
		if strings.EqualFold(policyTypes[k], id) {
			return k, nil
		}
		known = append(known, fmt.Sprintf("%s (%s)", policyTypes[k], k.Title()))
	}
	return "", at("type.id", slipway.NotFound("there is no policy type %q: use %s", id, strings.Join(known, ", ")))
}

// configurations lists policies: all, those of a type, and those of a branch, by `scope` as the policy area has it or by
// repositoryId and refName as the git area has it.
func (p policyRoutes) configurations(w http.ResponseWriter, r request) error {
	q := r.URL.Query()
	all, err := p.repos.Policies(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	var kind policy.Kind
	if id := q.Get("policyType"); id != "" {
		if kind, err = policyKind(id); err != nil {
			return err
		}
	}
	repository, ref := q.Get("repositoryId"), q.Get("refName")
	if scope := q.Get("scope"); scope != "" { // REPOSITORY:REF, the first without hyphens
		repository, ref, _ = strings.Cut(scope, ":")
	}
	defaultRef := ""
	if repository != "" {
		id, err := uuid.Parse(repository)
		if err != nil {
			return at("repositoryId", slipway.Invalid("%q is no id of a repository", repository))
		}
		repo, err := p.repos.Find(r.Context(), r.project.ID, id.String())
		if err != nil {
			return err
		}
		repository, defaultRef = string(repo.ID), "refs/heads/"+repo.DefaultBranch
	}
	var out []PolicyConfiguration
	for _, one := range all {
		switch here := one; {
		case kind != "" && one.Kind != kind:
			continue
		case repository != "" && one.Scope.Repository != "" && string(one.Scope.Repository) != repository:
			continue
		case ref != "":
			if here.Enabled = true; !here.Applies(slipway.RepositoryID(repository), ref, defaultRef) {
				continue
			}
		}
		shaped, err := p.shape(r.project, one)
		if err != nil {
			return err
		}
		out = append(out, shaped)
	}
	return list(w, out)
}

// read reads a configuration from a body.
func (p policyRoutes) read(w http.ResponseWriter, r request) (policy.Policy, error) {
	var body struct {
		Type       struct{ ID string } `json:"type"`
		IsEnabled  *bool               `json:"isEnabled"`
		IsBlocking *bool               `json:"isBlocking"`
		Settings   json.RawMessage     `json:"settings"`
	}
	out := policy.Policy{Project: r.project.ID, Enabled: true, Blocking: true}
	if err := r.decode(w, maxPullRequestBody, &body, "the JSON of a policy configuration"); err != nil {
		return out, err
	}
	if body.IsEnabled != nil {
		out.Enabled = *body.IsEnabled
	}
	if body.IsBlocking != nil {
		out.Blocking = *body.IsBlocking
	}
	var err error
	if out.Kind, err = policyKind(body.Type.ID); err != nil {
		return out, err
	}
	var scoped struct {
		Scope []policyScope `json:"scope"`
	}
	if err := json.Unmarshal(body.Settings, &scoped); err != nil || len(scoped.Scope) != 1 {
		return out, at("settings.scope", slipway.Invalid("name one scope, as [{\"repositoryId\": null, \"refName\": \"refs/heads/main\", \"matchKind\": \"exact\"}]; make a policy for each if there are more"))
	}
	scope := scoped.Scope[0]
	out.Scope.Ref, out.Scope.Match = scope.RefName, policy.Exact
	for _, m := range []policy.Match{policy.Prefix, policy.DefaultBranch} {
		if strings.EqualFold(scope.MatchKind, string(m)) {
			out.Scope.Match = m
		}
	}
	if out.Scope.Match == policy.Exact && scope.MatchKind != "" && !strings.EqualFold(scope.MatchKind, string(policy.Exact)) {
		return out, at("settings.scope", slipway.Invalid("matchKind is exact, prefix or defaultBranch, not %q", scope.MatchKind))
	}
	if scope.RepositoryID != nil && *scope.RepositoryID != "" {
		out.Scope.Repository = slipway.RepositoryID(strings.ToLower(*scope.RepositoryID))
	}
	out.Settings, err = policy.ParseSettings(out.Kind, body.Settings)
	return out, err
}

func (p policyRoutes) answer(w http.ResponseWriter, r request, one policy.Policy) error {
	out, err := p.shape(r.project, one)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (p policyRoutes) create(w http.ResponseWriter, r request) error {
	one, err := p.read(w, r)
	if err != nil {
		return err
	}
	if one, err = p.repos.CreatePolicy(r.Context(), r.caller.Actor, one); err != nil {
		return err
	}
	return p.answer(w, r, one)
}

func (p policyRoutes) configuration(w http.ResponseWriter, r request) error {
	id, err := r.number("configuration")
	if err != nil {
		return err
	}
	one, err := p.repos.Policy(r.Context(), r.project.ID, id)
	if err != nil {
		return err
	}
	return p.answer(w, r, one)
}

func (p policyRoutes) update(w http.ResponseWriter, r request) error {
	id, err := r.number("configuration")
	if err != nil {
		return err
	}
	one, err := p.read(w, r)
	if err != nil {
		return err
	}
	one.ID = id
	if one, err = p.repos.UpdatePolicy(r.Context(), r.caller.Actor, one); err != nil {
		return err
	}
	return p.answer(w, r, one)
}

func (p policyRoutes) delete(w http.ResponseWriter, r request) error {
	id, err := r.number("configuration")
	if err != nil {
		return err
	}
	if err := p.repos.DeletePolicy(r.Context(), r.caller.Actor, r.project.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
