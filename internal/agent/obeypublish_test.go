package agent

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/job"
)

// What a step changes of a service connection, later steps of the job see. The properties are those of task.setendpoint in Microsoft's
// "Logging commands".
func TestSetEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorkbench(t, nil)
	for line, want := range map[string]string{
		"##vso[task.setendpoint id=GUID;field=authParameter;key=AccessToken]sesame-street": "",
		"##vso[task.setendpoint id=guid;field=dataParameter;key=new]b":                     "",
		"##vso[task.setendpoint id=guid;field=url]https://b.test/":                         "",
		"##vso[task.setendpoint field=url]x":                                               "##[warning]task.setendpoint names no service connection: give its id.",
		"##vso[task.setendpoint id=guid;field=name]x":                                      "##[warning]task.setendpoint: field is authParameter, dataParameter or url.",
		"##vso[task.setendpoint id=guid;field=dataParameter]x":                             "##[warning]task.setendpoint needs the key of what it sets.",
	} {
		c, ok := parseCommand(line)
		if !ok {
			t.Fatalf("%s is no command", line)
		}
		got := ""
		if shown := w.obey(c); len(shown) > 0 {
			got = shown[0]
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	before := job.Connection{ID: "guid", Name: "hub", URL: "https://a.test/", Parameters: map[string]string{"accesstoken": "old"}}
	want := job.Connection{ID: "guid", Name: "hub", URL: "https://b.test/", Parameters: map[string]string{"accesstoken": "sesame-street"}, Data: map[string]string{"new": "b"}}
	if diff := cmp.Diff(want, w.changed(before)); diff != "" {
		t.Error(diff)
	}
	if before.Parameters["accesstoken"] != "old" {
		t.Error("the connection itself has changed")
	}
	other := job.Connection{ID: "other", Name: "x", URL: "https://a.test/"}
	if diff := cmp.Diff(other, w.changed(other)); diff != "" {
		t.Error(diff)
	}
	if got := w.mask.Mask("a sesame-street b"); got != "a *** b" {
		t.Errorf("the token is not masked: %s", got)
	}
}
