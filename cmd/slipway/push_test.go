package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway/internal/pipelines/diagnostic"
)

func TestAnswerToAPush(t *testing.T) {
	t.Parallel()
	one := diagnostic.Diagnostic{File: "a.yml", Line: 3, Column: 5, Severity: diagnostic.Error, Message: "it is wrong"}
	warning := diagnostic.Diagnostic{File: "a.yml", Line: 1, Column: 1, Severity: diagnostic.Warning, Message: "it is odd"}
	f := func(list []diagnostic.Diagnostic, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, answer(list)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	f(nil)
	f([]diagnostic.Diagnostic{warning}, "a.yml:1:1: warning: it is odd")
	f([]diagnostic.Diagnostic{one, warning}, "a.yml:3:5: error: it is wrong", "a.yml:1:1: warning: it is odd",
		"The push is taken in, but no run can start until 1 mistake in the pipeline's files is mended.")
	many := make([]diagnostic.Diagnostic, 22)
	for i := range many {
		many[i] = one
	}
	if got := answer(many); len(got) != 22 || got[20] != "and 2 more: slipway validate shows all" {
		t.Errorf("%v", got)
	}
}
