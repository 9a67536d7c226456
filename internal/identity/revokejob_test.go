package identity_test

import (
	"testing"
	"time"

	"slipway"
	"slipway/internal/db"
	"slipway/internal/db/dbtest"
	"slipway/internal/identity"
)

// The tokens of a job end together, whatever else an earlier release has bound them to; those of a job whose number begins alike stay.
func TestRevokeJob(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := setup(t, d)
		type want struct {
			binding identity.Binding
			good    bool
		}
		tokens := map[string]want{}
		for _, one := range []want{
			{identity.Binding{Job: 17}, false},
			{identity.Binding{Run: 3, Job: 17}, false},
			{identity.Binding{Run: 3, Job: 17, Commit: "abc", Pipeline: 2, Ref: "refs/heads/main"}, false},
			{identity.Binding{Run: 3, Job: 177, Ref: `"job":17,`}, true},
			{identity.Binding{Run: 17, Job: 1}, true},
		} {
			token, err := w.IssueToken(t.Context(), identity.TokenRequest{Kind: identity.TokenJob, Actor: slipway.System, Binding: one.binding, Life: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			tokens[token] = one
		}
		if err := w.RevokeJob(t.Context(), 17); err != nil {
			t.Fatal(err)
		}
		for token, want := range tokens {
			if _, err := w.AuthenticateToken(t.Context(), token); (err == nil) != want.good {
				t.Errorf("the token for %+v is good: %t", want.binding, err == nil)
			}
		}
	})
}
