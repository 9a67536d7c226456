package az

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"slipway"
)

var (
	pullOption      = option{names: []string{"--id"}, doc: "the pull request's number", need: true}
	reviewersOption = option{names: []string{"--reviewers"}, kind: list, doc: "names or ids of the project's members", need: true}
	workItemsOption = option{names: []string{"--work-items"}, kind: list, doc: "numbers", need: true}
)

// completionFlags say how a pull request is to be completed.
var completionFlags = []option{
	{names: []string{"--auto-complete"}, kind: flag, doc: "complete it when its policies allow"}, {names: []string{"--squash"}, kind: flag, doc: "as one commit"},
	{names: []string{"--delete-source-branch"}, kind: flag, doc: "delete the source then"}, {names: []string{"--merge-commit-message"}, doc: "message of the commit"},
	{names: []string{"--bypass-policy"}, kind: flag, doc: "whatever policies say"}, {names: []string{"--bypass-policy-reason"}, doc: "why"},
	{names: []string{"--transition-work-items"}, kind: flag, doc: "resolve the linked work items then"},
	{names: []string{"--draft"}, kind: flag, doc: "a draft, which is not reviewed yet"}, {names: []string{"--description", "-d"}, kind: list, doc: "the text; each value is a line"},
	{names: []string{"--title"}, doc: "the title"}, openOption,
}

var pullCommands = []command{
	{name: "repos pr create", doc: "Opens a pull request.", options: devOpsOptions(append(slices.Clone(completionFlags), gitRepositoryOption,
		option{names: []string{"--source-branch", "-s"}, doc: "the branch to merge; the run's by default"}, option{names: []string{"--target-branch", "-t"}, doc: "the branch that gets it; the default branch without it"},
		option{names: []string{"--reviewers", "--optional-reviewers"}, kind: list, doc: "names or ids"}, option{names: []string{"--required-reviewers"}, kind: list, doc: "names or ids"},
		option{names: []string{"--work-items"}, kind: list, doc: "numbers"}, option{names: []string{"--labels"}, kind: list, doc: "labels"})...), run: (*call).createPull},
	{name: "repos pr list", doc: "Lists pull requests.", options: devOpsOptions(gitRepositoryOption, option{names: []string{"--status"}, doc: "active, abandoned, completed or all"},
		option{names: []string{"--source-branch", "-s"}}, option{names: []string{"--target-branch", "-t"}}, option{names: []string{"--creator"}, doc: "a name or id"},
		option{names: []string{"--reviewer"}, doc: "a name or id"}, topOption, skipOption, option{names: []string{"--include-links"}, kind: flag, doc: "changes nothing: they are there"}), run: (*call).pulls},
	{name: "repos pr show", doc: "Shows a pull request.", options: devOpsOptions(pullOption, openOption), run: (*call).showPull},
	{name: "repos pr update", doc: "Changes, completes, abandons or reactivates a pull request.", options: devOpsOptions(append(slices.Clone(completionFlags), pullOption,
		option{names: []string{"--status"}, doc: "completed, abandoned or active"})...), run: (*call).updatePull},
	{name: "repos pr set-vote", doc: "Votes.", options: devOpsOptions(pullOption, option{names: []string{"--vote"}, doc: strings.Join(slices.Sorted(maps.Keys(votes)), ", "), need: true}), run: (*call).vote},
	{name: "repos pr reviewer add", doc: "Asks people to review.", options: devOpsOptions(pullOption, reviewersOption, option{names: []string{"--required"}, kind: flag, doc: "they must approve"}), run: (*call).addReviewers},
	{name: "repos pr reviewer list", doc: "Lists reviewers with their votes.", options: devOpsOptions(pullOption), run: pullList("/reviewers")},
	{name: "repos pr reviewer remove", doc: "Takes reviewers away.", options: devOpsOptions(pullOption, reviewersOption), run: (*call).removeReviewers},
	{name: "repos pr work-item add", doc: "Links work items, by AB#NUMBER in the description.", options: devOpsOptions(pullOption, workItemsOption), run: (*call).addWorkItems},
	{name: "repos pr work-item list", doc: "Lists the linked work items.", options: devOpsOptions(pullOption), run: pullList("/workitems")},
	{name: "repos pr policy list", doc: "Lists the policies of a pull request and what they say.", options: devOpsOptions(pullOption, topOption, skipOption), run: (*call).pullPolicies},
	{name: "repos pr policy queue", doc: "Runs a policy's build again.", options: devOpsOptions(pullOption, option{names: []string{"--evaluation-id", "-e"}, doc: "of az repos pr policy list", need: true}), run: (*call).queuePolicy},
}

// votes are the extension's names of votes. The map is never changed.
var votes = map[string]int{"approve": 10, "approve-with-suggestions": 5, "reset": 0, "wait-for-author": -5, "reject": -10}

// pull is the pull request of --id, with its path in its repository.
func (c *call) pull() (p map[string]any, path string, err error) {
	if _, err := c.number("id", 0); err != nil {
		return nil, "", err
	}
	if p, err = c.one("GET", "git/pullrequests/"+c.text("id"), nil); err != nil {
		return nil, "", err
	}
	repository, _ := p["repository"].(map[string]any)
	return p, "git/repositories/" + fmt.Sprint(repository["id"]) + "/pullrequests/" + c.text("id"), nil
}

func (c *call) showPull() (any, error) {
	p, _, err := c.pull()
	return p, err
}

// pullList is a command that lists what lies below a pull request.
func pullList(below string) func(*call) (any, error) {
	return func(c *call) (any, error) {
		_, path, err := c.pull()
		if err != nil {
			return nil, err
		}
		var found envelope
		err = c.api("GET", path+below, nil, nil, &found)
		return found.Value, err
	}
}

// member is the id of somebody who is named by id, name or display name.
func (c *call) member(name string) (string, error) {
	var found envelope
	if err := c.api("GET", "slipway/members", nil, nil, &found); err != nil {
		return "", err
	}
	for _, m := range found.Value {
		for _, field := range []string{"id", "name", "displayName"} {
			if text, _ := m[field].(string); text != "" && strings.EqualFold(text, name) {
				return fmt.Sprint(m["id"]), nil
			}
		}
	}
	return "", slipway.NotFound("the project has no member %q: the project's settings list them", name)
}

func (c *call) members(names []string, required bool) ([]map[string]any, error) {
	var all []map[string]any
	for _, name := range names {
		id, err := c.member(name)
		if err != nil {
			return nil, err
		}
		all = append(all, map[string]any{"id": id, "isRequired": required})
	}
	return all, nil
}

// self is the id of whoever the token is of.
func (c *call) self() (string, error) {
	token := c.Getenv("AZURE_DEVOPS_EXT_PAT")
	if token == "" {
		return "", slipway.Unsupported("a job neither votes nor completes pull requests: set AZURE_DEVOPS_EXT_PAT to a personal access token of who does, from a secret variable")
	}
	var who struct {
		User struct {
			ID string `json:"id"`
		} `json:"authenticatedUser"`
	}
	err := c.request("GET", "_apis/connectionData", nil, nil, &who, basic(token))
	return who.User.ID, err
}

// pulls lists those of the project, or of one repository.
func (c *call) pulls() (any, error) {
	query := url.Values{"$top": {cmp.Or(c.text("top"), "100")}, "searchCriteria.status": {cmp.Or(c.text("status"), "active")}}
	for name, key := range map[string]string{"source-branch": "sourceRefName", "target-branch": "targetRefName"} {
		if ref := fullRef(c.text(name)); ref != "" {
			query.Set("searchCriteria."+key, ref)
		}
	}
	for name, key := range map[string]string{"creator": "creatorId", "reviewer": "reviewerId"} {
		if who := c.text(name); who != "" {
			id, err := c.member(who)
			if err != nil {
				return nil, err
			}
			query.Set("searchCriteria."+key, id)
		}
	}
	if skip := c.text("skip"); skip != "" {
		query.Set("$skip", skip)
	}
	path := "git/pullrequests"
	if c.given("repository") { // all of the project's without it, as the extension has it
		of, err := c.repositoryPath()
		if err != nil {
			return nil, err
		}
		path = of + "/pullrequests"
	}
	var found envelope
	err := c.api("GET", path, query, nil, &found)
	return found.Value, err
}

func (c *call) vote() (any, error) {
	value, ok := votes[strings.ToLower(c.text("vote"))]
	if !ok {
		return nil, usagef("argument --vote: invalid choice: %q: write %s", c.text("vote"), strings.Join(slices.Sorted(maps.Keys(votes)), ", "))
	}
	who, err := c.self()
	if err != nil {
		return nil, err
	}
	_, path, err := c.pull()
	if err != nil {
		return nil, err
	}
	return c.one("PUT", path+"/reviewers/"+url.PathEscape(who), map[string]int{"vote": value})
}

func (c *call) addReviewers() (any, error) {
	_, path, err := c.pull()
	if err != nil {
		return nil, err
	}
	body, err := c.members(c.list("reviewers"), c.flag("required"))
	if err != nil {
		return nil, err
	}
	var found envelope
	err = c.api("POST", path+"/reviewers", nil, body, &found)
	return found.Value, err
}

func (c *call) removeReviewers() (any, error) {
	_, path, err := c.pull()
	if err != nil {
		return nil, err
	}
	for _, name := range c.list("reviewers") {
		id, err := c.member(name)
		if err != nil {
			return nil, err
		}
		if err := c.api("DELETE", path+"/reviewers/"+url.PathEscape(id), nil, nil, nil); err != nil {
			return nil, err
		}
	}
	return pullList("/reviewers")(c)
}

func (c *call) addWorkItems() (any, error) {
	p, path, err := c.pull()
	if err != nil {
		return nil, err
	}
	text, _ := p["description"].(string)
	for _, item := range c.list("work-items") {
		link, err := workItemLink(item)
		if err != nil {
			return nil, err
		}
		text = withLink(text, link)
	}
	if _, err := c.one("PATCH", path, map[string]string{"description": text}); err != nil {
		return nil, err
	}
	return pullList("/workitems")(c)
}

func (c *call) pullPolicies() (any, error) {
	p, _, err := c.pull()
	if err != nil {
		return nil, err
	}
	repository, _ := p["repository"].(map[string]any)
	project, _ := repository["project"].(map[string]any)
	query := url.Values{"artifactId": {fmt.Sprintf("vstfs:///CodeReview/CodeReviewId/%v/%s", project["id"], c.text("id"))}}
	for _, name := range []string{"top", "skip"} {
		if text := c.text(name); text != "" {
			query.Set("$"+name, text)
		}
	}
	var found envelope
	err = c.api("GET", "policy/evaluations", query, nil, &found)
	return found.Value, err
}

func (c *call) queuePolicy() (any, error) {
	return c.one("PATCH", "policy/evaluations/"+url.PathEscape(c.text("evaluation-id")), map[string]any{})
}
