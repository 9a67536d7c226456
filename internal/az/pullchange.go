package az

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// completion is what the options say of the completion; nil when they say nothing.
func (c *call) completion() (map[string]any, error) {
	if c.given("bypass-policy-reason") && !c.flag("bypass-policy") {
		return nil, usagef("--bypass-policy-reason is given without --bypass-policy")
	}
	o := map[string]any{}
	if c.given("squash") {
		o["mergeStrategy"] = map[bool]string{true: "squash", false: "noFastForward"}[c.flag("squash")]
	}
	for name, key := range map[string]string{"delete-source-branch": "deleteSourceBranch", "bypass-policy": "bypassPolicy", "transition-work-items": "transitionWorkItems"} {
		if c.given(name) {
			o[key] = c.flag(name)
		}
	}
	for name, key := range map[string]string{"merge-commit-message": "mergeCommitMessage", "bypass-policy-reason": "bypassReason"} {
		if c.given(name) {
			o[key] = c.text(name)
		}
	}
	if len(o) == 0 {
		return nil, nil
	}
	return o, nil
}

// description is that of the options, with what links work items.
func (c *call) description(items []string) (string, error) {
	text := strings.Join(c.list("description"), "\n")
	for _, item := range items {
		link, err := workItemLink(item)
		if err != nil {
			return "", err
		}
		text = withLink(text, link)
	}
	return text, nil
}

// workItemLink is how a description names a work item.
func workItemLink(number string) (string, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(strings.ToUpper(number), "AB"), "#")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", usagef("argument --work-items: %q is no number of a work item", number)
	}
	return "AB#" + digits, nil
}

// withLink adds a link to a text that has not got it.
func withLink(text, link string) string {
	if slices.Contains(strings.FieldsFunc(text, func(r rune) bool {
		return r != '#' && !('0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z')
	}), link) {
		return text
	}
	return strings.TrimLeft(text+"\n\n"+link, "\n")
}

func (c *call) createPull() (any, error) {
	path, err := c.repositoryPath()
	if err != nil {
		return nil, err
	}
	source := cmp.Or(c.text("source-branch"), c.Getenv("BUILD_SOURCEBRANCH"))
	if source == "" || strings.HasPrefix(source, "refs/pull/") {
		return nil, usagef("--source-branch must be given: the run is of no branch")
	}
	options, err := c.completion()
	if err != nil {
		return nil, err
	}
	if options != nil && !c.flag("auto-complete") {
		return nil, usagef("how to complete is said with --auto-complete, or by az repos pr update --status completed")
	}
	description, err := c.description(c.list("work-items"))
	if err != nil {
		return nil, err
	}
	reviewers, err := c.members(c.list("reviewers"), false)
	if err != nil {
		return nil, err
	}
	required, err := c.members(c.list("required-reviewers"), true)
	if err != nil {
		return nil, err
	}
	body := map[string]any{"sourceRefName": fullRef(source), "description": description, "isDraft": c.flag("draft"), "reviewers": append(reviewers, required...)}
	if title := c.text("title"); title != "" {
		body["title"] = title
	}
	if target := c.text("target-branch"); target != "" {
		body["targetRefName"] = fullRef(target)
	}
	var labels []map[string]string
	for _, l := range c.list("labels") {
		labels = append(labels, map[string]string{"name": l})
	}
	if body["labels"] = labels; labels == nil {
		delete(body, "labels")
	}
	by := ""
	if c.flag("auto-complete") { // before the pull request is there
		if by, err = c.self(); err != nil {
			return nil, err
		}
	}
	made, err := c.one("POST", path+"/pullrequests", body)
	if err != nil || by == "" {
		return made, err
	}
	change := map[string]any{"autoCompleteSetBy": map[string]string{"id": by}}
	if options != nil {
		change["completionOptions"] = options
	}
	return c.one("PATCH", path+"/pullrequests/"+fmt.Sprint(made["pullRequestId"]), change)
}

func (c *call) updatePull() (any, error) {
	p, path, err := c.pull()
	if err != nil {
		return nil, err
	}
	body := map[string]any{}
	if c.given("title") {
		body["title"] = c.text("title")
	}
	if c.given("description") {
		body["description"] = strings.Join(c.list("description"), "\n")
	}
	if c.given("draft") {
		body["isDraft"] = c.flag("draft")
	}
	options, err := c.completion()
	if err != nil {
		return nil, err
	}
	status := strings.ToLower(c.text("status"))
	switch {
	case c.flag("auto-complete") || status == "completed":
		by, err := c.self()
		if err != nil {
			return nil, err
		}
		if c.flag("auto-complete") {
			body["autoCompleteSetBy"] = map[string]string{"id": by}
		}
	case c.given("auto-complete"):
		body["autoCompleteSetBy"] = map[string]string{"id": noID}
	case options != nil:
		return nil, usagef("how to complete is said with --auto-complete or --status completed")
	}
	if options != nil {
		body["completionOptions"] = options
	}
	if status != "" {
		body["status"] = status
		body["lastMergeSourceCommit"] = p["lastMergeSourceCommit"]
	}
	if len(body) == 0 {
		return nil, usagef("nothing is to be changed: give --title, --description, --draft, --status or --auto-complete")
	}
	return c.one("PATCH", path, body)
}
