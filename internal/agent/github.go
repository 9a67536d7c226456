package agent

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"slipway/internal/pipelines/job"
)

const (
	maxGitHubAnswer = 16 << 20 // bytes
	maxGitHubPages  = 50       // of a list, each of 100
	gitHubTime      = 2 * time.Minute
)

// github is a repository of GitHub, reached by its REST API (docs.github.com/rest) with the token of a service connection.
type github struct {
	t          *task
	api, token string
	repository string
}

var gitHubRepository = regexp.MustCompile(`^[\w.-]+/[\w.-]+$`)

// github is the repository that a task names.
func (t *task) github(connection, repository string) (*github, error) {
	c, err := t.connection(connection)
	if err != nil {
		return nil, err
	}
	if repository = strings.TrimSuffix(strings.TrimPrefix(repository, "https://github.com/"), ".git"); !gitHubRepository.MatchString(repository) {
		return nil, fmt.Errorf("%q is not the name of a repository at GitHub: write OWNER/NAME", repository)
	}
	_, token := c.Credentials()
	if token == "" {
		return nil, fmt.Errorf("service connection %q has no token", c.Name)
	}
	api, err := gitHubAPI(&c)
	return &github{t: t, api: api, token: token, repository: repository}, err
}

// gitHubAPI is where the REST API is: of GitHub itself on a host of its own, and of GitHub Enterprise in a folder.
func gitHubAPI(c *job.Connection) (string, error) {
	u, err := url.Parse(cmp.Or(strings.TrimRight(c.URL, "/"), "https://github.com"))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", fmt.Errorf("the URL %q of service connection %q is none of GitHub", c.URL, c.Name)
	}
	switch strings.ToLower(u.Host) {
	case "github.com", "www.github.com", "api.github.com":
		return "https://api.github.com", nil
	}
	return strings.TrimSuffix(u.String(), "/api/v3") + "/api/v3", nil
}

// errGitHub is an answer that is no success.
type errGitHub struct {
	status  int
	message string
	code    string // of the first error that the answer lists
}

func (e errGitHub) Error() string {
	text := fmt.Sprintf("GitHub answered %d %s", e.status, http.StatusText(e.status))
	if e.message != "" {
		text += ": " + e.message
	}
	if e.code != "" {
		text += " (" + e.code + ")"
	}
	return text
}

// statusOf is the status of an answer that was no success; 0 for other errors.
func statusOf(err error) int {
	var e errGitHub
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}

// path is an address of the repository.
func (g *github) path(parts ...string) string {
	address := g.api + "/repos/" + g.repository
	for _, p := range parts {
		address += "/" + url.PathEscape(p)
	}
	return address
}

// call sends JSON and reads the answer, either of which may be nil.
func (g *github) call(method, address string, body, answer any) error {
	_, err := g.page(method, address, body, answer)
	return err
}

// page is call, and gives the address of the next page.
func (g *github) page(method, address string, body, answer any) (next string, err error) {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		data = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(g.t.ctx, gitHubTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, data)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	return g.send(request, answer)
}

var nextPage = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

func (g *github) send(request *http.Request, answer any) (next string, err error) {
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("Authorization", "Bearer "+g.token)
	request.Header.Set("User-Agent", "slipway-agent")
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("call GitHub: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxGitHubAnswer))
	if err != nil {
		return "", fmt.Errorf("read GitHub's answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		var said struct {
			Message string `json:"message"`
			Errors  []struct {
				Code string `json:"code"`
			} `json:"errors"`
		}
		failed := errGitHub{status: resp.StatusCode}
		if json.Unmarshal(text, &said) == nil {
			failed.message = said.Message
			if len(said.Errors) > 0 {
				failed.code = said.Errors[0].Code
			}
		}
		return "", failed
	}
	if m := nextPage.FindStringSubmatch(resp.Header.Get("Link")); m != nil && strings.HasPrefix(m[1], g.api+"/") {
		next = m[1]
	}
	if answer == nil || len(text) == 0 {
		return next, nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return "", fmt.Errorf("read GitHub's answer: %w", err)
	}
	return next, nil
}

// commit is the commit of a branch, and what is no branch itself.
func (g *github) commit(target string) (string, error) {
	var branch struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	err := g.call(http.MethodGet, g.path("branches", strings.TrimPrefix(target, "refs/heads/")), nil, &branch)
	if statusOf(err) == http.StatusNotFound {
		return target, nil
	}
	return branch.Commit.SHA, err
}

// gitHubTag is a tag of the repository.
type gitHubTag struct {
	Name   string `json:"name"`
	Commit struct {
		SHA string `json:"sha"`
	} `json:"commit"`
}

// tags are those that keep says yes to.
func (g *github) tags(keep func(gitHubTag) bool) ([]gitHubTag, error) {
	return gitHubList(g, g.path("tags"), keep)
}

// gitHubList reads the pages of a list.
func gitHubList[T any](g *github, address string, keep func(T) bool) ([]T, error) {
	var all []T
	next := address + "?per_page=100"
	for range maxGitHubPages {
		var page []T
		var err error
		if next, err = g.page(http.MethodGet, next, nil, &page); err != nil {
			return nil, err
		}
		for _, one := range page {
			if keep(one) {
				all = append(all, one)
			}
		}
		if next == "" {
			break
		}
	}
	return all, nil
}
