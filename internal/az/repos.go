package az

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"slipway"
)

var (
	gitRepositoryOption = option{names: []string{"--repository", "-r"}, doc: "the repository's name or id; the run's own by default"}
	openOption          = option{names: []string{"--open"}, kind: flag, doc: "changes nothing: a job has no browser"}
	skipOption          = option{names: []string{"--skip"}, doc: "so many are left out first"}
)

var repositoryCommands = []command{
	{name: "repos list", doc: "Lists the project's repositories.", options: devOpsOptions(), run: (*call).repositories},
	{name: "repos show", doc: "Shows a repository.", options: devOpsOptions(gitRepositoryOption, openOption), run: (*call).gitRepository},
	{name: "repos create", doc: "Makes an empty repository.", options: devOpsOptions(option{names: []string{"--name"}, need: true}, openOption), run: (*call).createRepository},
	{name: "repos ref list", doc: "Lists branches and tags.", options: devOpsOptions(gitRepositoryOption, option{names: []string{"--filter"}, doc: "heads, tags or what a name begins with"}), run: (*call).refs},
	{name: "repos ref create", doc: "Makes a branch or tag.", options: devOpsOptions(gitRepositoryOption, option{names: []string{"--name"}, doc: "heads/NAME or tags/NAME", need: true},
		option{names: []string{"--object-id"}, doc: "the commit", need: true}), run: (*call).createRef},
	{name: "repos ref delete", doc: "Deletes a branch or tag.", options: devOpsOptions(gitRepositoryOption, option{names: []string{"--name"}, doc: "heads/NAME or tags/NAME", need: true},
		option{names: []string{"--object-id"}, doc: "what it must be at; it is looked up without"}), run: (*call).deleteRef},
}

// repositoryPath is that of the repository that --repository names, or of the run's own.
func (c *call) repositoryPath() (string, error) {
	name := c.text("repository")
	if name == "" && strings.EqualFold(cmp.Or(c.Getenv("BUILD_REPOSITORY_PROVIDER"), "TfsGit"), "TfsGit") {
		name = cmp.Or(c.Getenv("BUILD_REPOSITORY_ID"), c.Getenv("BUILD_REPOSITORY_NAME"))
	}
	if name == "" {
		return "", usagef("--repository must be given: the run has no repository of this server")
	}
	return "git/repositories/" + url.PathEscape(name), nil
}

func (c *call) repositories() (any, error) {
	var found envelope
	err := c.api("GET", "git/repositories", nil, nil, &found)
	return found.Value, err
}

func (c *call) gitRepository() (any, error) {
	path, err := c.repositoryPath()
	if err != nil {
		return nil, err
	}
	return c.one("GET", path, nil)
}

func (c *call) createRepository() (any, error) {
	return c.one("POST", "git/repositories", map[string]string{"name": c.text("name")})
}

func (c *call) refs() (any, error) {
	path, err := c.repositoryPath()
	if err != nil {
		return nil, err
	}
	query, all := url.Values{"filter": {strings.TrimPrefix(c.text("filter"), "refs/")}}, []map[string]any{}
	for {
		var found envelope
		if err := c.api("GET", path+"/refs", query, nil, &found); err != nil {
			return nil, err
		}
		if all = append(all, found.Value...); len(found.Value) < refsOfPage {
			return all, nil
		}
		last, _ := found.Value[len(found.Value)-1]["name"].(string)
		query.Set("continuationToken", last+"\x01") // what sorts behind it; a ref's name has no such character
	}
}

// refsOfPage is how many refs the server gives in one answer.
const refsOfPage = 1000

// fullName is a ref's whole name: the extension's own commands leave refs/ out.
func fullName(name string) string {
	if strings.HasPrefix(name, "refs/") {
		return name
	}
	return "refs/" + name
}

// moveRef makes, moves or deletes one ref.
func (c *call) moveRef(name, from, to string) (any, error) {
	path, err := c.repositoryPath()
	if err != nil {
		return nil, err
	}
	zeros := strings.Repeat("0", max(len(from), len(to)))
	body := []map[string]string{{"name": name, "oldObjectId": cmp.Or(from, zeros), "newObjectId": cmp.Or(to, zeros)}}
	var found envelope
	if err := c.api("POST", path+"/refs", nil, body, &found); err != nil {
		return nil, err
	}
	if len(found.Value) != 1 {
		return nil, slipway.Unavailable("the server does not say what became of %s", name)
	}
	result := found.Value[0]
	if done, _ := result["success"].(bool); !done {
		said, _ := result["customMessage"].(string)
		return nil, slipway.Conflict("%s stays as it is: %s", name, said)
	}
	return result, nil
}

func (c *call) createRef() (any, error) {
	return c.moveRef(fullName(c.text("name")), "", c.text("object-id"))
}

func (c *call) deleteRef() (any, error) {
	name, at := fullName(c.text("name")), c.text("object-id")
	if at == "" {
		path, err := c.repositoryPath()
		if err != nil {
			return nil, err
		}
		var found envelope
		if err := c.api("GET", path+"/refs", url.Values{"filter": {strings.TrimPrefix(name, "refs/")}}, nil, &found); err != nil {
			return nil, err
		}
		i := slices.IndexFunc(found.Value, func(r map[string]any) bool { return r["name"] == name })
		if i < 0 {
			return nil, slipway.NotFound("the repository has no %s", name)
		}
		at, _ = found.Value[i]["objectId"].(string)
	}
	return c.moveRef(name, at, "")
}
