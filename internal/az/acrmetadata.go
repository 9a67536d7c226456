package az

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway"
)

// The data-plane REST API of Azure Container Registry, which the registry answers below /acr/v1/: lists with times and sizes, and locks.

// lockOptions are the attributes that may be changed.
var lockOptions = []option{
	{names: []string{"--delete-enabled"}, doc: "true or false"}, {names: []string{"--write-enabled"}, doc: "true or false"},
	{names: []string{"--read-enabled"}, doc: "true or false"}, {names: []string{"--list-enabled"}, doc: "true"},
}

// metadata calls the API about a repository and decodes the answer; it returns the path and query of the next page, empty for none.
func (c *call) metadata(method, path string, body, out any, doing string) (next string, err error) {
	base, client, err := c.server()
	if err != nil {
		return "", err
	}
	at, err := base.Parse("/acr/v1/" + path)
	if err != nil {
		return "", slipway.Invalid("%s: the name cannot be asked for: %v", doing, err)
	}
	var content io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return "", fmt.Errorf("%s: %w", doing, err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.ctx, method, at.String(), content)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", registryError(doing, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return "", registryError(doing, refusal(r, answer))
	}
	if out != nil {
		err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(out)
	}
	if err != nil {
		return "", registryError(doing, err)
	}
	if m := nextPage.FindStringSubmatch(answer.Header.Get("Link")); m != nil {
		next = m[1]
	}
	return next, nil
}

var nextPage = regexp.MustCompile(`^</acr/v1/([^>]+)>; rel="next"$`)

// refusal is the registry's reason in an answer that is no success.
func refusal(r *http.Request, answer *http.Response) error {
	e := &errcode.ErrorResponse{Method: r.Method, URL: r.URL, StatusCode: answer.StatusCode}
	var body struct{ Errors errcode.Errors }
	if json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&body) == nil {
		e.Errors = body.Errors
	}
	return e
}

// metadataList reads a list whole, or as much of it as --top asks for, in the order of --orderby.
func (c *call) metadataList(repository, kind string) ([]map[string]any, error) {
	most, err := c.number("top", maxList)
	if err != nil {
		return nil, err
	}
	order := c.text("orderby")
	if order != "" && order != "time_asc" && order != "time_desc" {
		return nil, usagef("argument --orderby: invalid choice: '%s' (choose from 'time_asc', 'time_desc')", order)
	}
	path := repository + "/_" + kind + "?" + url.Values{"n": {strconv.Itoa(min(most, 1000))}, "orderby": {strings.ReplaceAll(order, "_", "")}}.Encode()
	all := []map[string]any{}
	for path != "" && len(all) < most {
		var page map[string]json.RawMessage
		var list []map[string]any
		doing := "list the " + kind + " of " + repository
		if path, err = c.metadata(http.MethodGet, path, nil, &page, doing); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(page[kind], &list); err != nil {
			return nil, registryError(doing, err)
		}
		if all = append(all, list...); len(all) > maxList {
			return nil, tooMany(len(all))
		}
	}
	return all[:min(len(all), most)], nil
}

// acrTags lists the names of tags, with --detail what is known of them.
func (c *call) acrTags() (any, error) {
	name, _, err := c.imageName(c.text("repository"))
	if err != nil {
		return nil, err
	}
	list, err := c.metadataList(name, "tags")
	if err != nil || c.flag("detail") {
		return list, err
	}
	names := []any{}
	for _, t := range list {
		names = append(names, t["name"])
	}
	return names, nil
}

// acrManifests lists a repository's manifests.
func (c *call) acrManifests() (any, error) {
	text, err := c.repositoryArgument()
	if err != nil {
		return nil, err
	}
	name, _, err := c.imageName(text)
	if err != nil {
		return nil, err
	}
	return c.metadataList(name, "manifests")
}

// acrRepository shows a repository or an image.
func (c *call) acrRepository() (any, error) { return c.attributes(http.MethodGet, nil) }

// acrLock locks a repository or an image, or unlocks it.
func (c *call) acrLock() (any, error) {
	change := map[string]bool{}
	for option, attribute := range map[string]string{"delete-enabled": "deleteEnabled", "write-enabled": "writeEnabled", "read-enabled": "readEnabled", "list-enabled": "listEnabled"} {
		if !c.given(option) {
			continue
		}
		value, err := strconv.ParseBool(strings.ToLower(c.text(option)))
		if err != nil {
			return nil, usagef("argument --%s: expected true or false", option)
		}
		change[attribute] = value
	}
	if len(change) == 0 {
		return nil, usagef("give one of --delete-enabled, --write-enabled and --read-enabled")
	}
	return c.attributes(http.MethodPatch, change)
}

// attributes asks for those of what the command names, a repository or an image, or changes them.
func (c *call) attributes(method string, body any) (any, error) {
	text := cmp.Or(c.text("image"), c.text("repository"))
	if len(c.args) > 0 || c.text("name") != "" && !c.given("image") && !c.given("repository") && method == http.MethodPatch { // az acr manifest update-metadata
		var err error
		if text, err = c.repositoryArgument(); err != nil {
			return nil, err
		}
	} else if c.given("image") == c.given("repository") {
		return nil, usagef("give one of --repository and --image/-t")
	}
	name, reference, err := c.imageName(text)
	if err != nil {
		return nil, err
	}
	path, kind := name, ""
	switch {
	case strings.Contains(reference, ":"):
		path, kind = name+"/_manifests/"+reference, "manifest"
	case reference != "" || !c.given("repository"):
		path, kind = name+"/_tags/"+cmp.Or(reference, "latest"), "tag"
	}
	doing := "look at " + text
	if method == http.MethodPatch {
		doing = "lock " + text
	}
	var out map[string]any
	if _, err := c.metadata(method, path, body, &out, doing); err != nil || kind == "" {
		return out, err
	}
	about, _ := out[kind].(map[string]any)
	if about == nil {
		return nil, registryError(doing, fmt.Errorf("the answer says nothing of the %s", kind))
	}
	about["registry"], about["imageName"] = out["registry"], out["imageName"]
	return about, nil
}
