package environments

import (
	"testing"
	"time"

	"slipway"
)

func TestMayDecide(t *testing.T) {
	t.Parallel()
	ada := slipway.Actor{Kind: slipway.ActorUser, ID: "ada", Name: "Ada"}
	bob := slipway.Actor{Kind: slipway.ActorUser, ID: "bob", Name: "Bob"}
	job := slipway.Actor{Kind: slipway.ActorJob, ID: "7"}
	administrator := Caller{Actor: ada, Role: "administrator"}
	for name, c := range map[string]struct {
		check   ApprovalCheck
		caller  Caller
		earlier []Decision
		want    slipway.Code
	}{
		"an administrator when nobody is named":  {ApprovalCheck{}, administrator, nil, ""},
		"a contributor when nobody is named":     {ApprovalCheck{}, Caller{ada, "contributor"}, nil, slipway.CodeForbidden},
		"a reader who is named":                  {ApprovalCheck{Approvers: []Approver{{User: "ada"}}}, Caller{ada, "reader"}, nil, ""},
		"an administrator who is not named":      {ApprovalCheck{Approvers: []Approver{{User: "bob"}}}, administrator, nil, slipway.CodeForbidden},
		"a role includes those above it":         {ApprovalCheck{Approvers: []Approver{{Role: "contributor"}}}, administrator, nil, ""},
		"a role excludes those below it":         {ApprovalCheck{Approvers: []Approver{{Role: "contributor"}}}, Caller{ada, "reader"}, nil, slipway.CodeForbidden},
		"the requester when that is allowed":     {ApprovalCheck{}, Caller{bob, "administrator"}, nil, ""},
		"the requester when that is not allowed": {ApprovalCheck{RequesterMayNotApprove: true}, Caller{bob, "administrator"}, nil, slipway.CodeForbidden},
		"another when the requester may not":     {ApprovalCheck{RequesterMayNotApprove: true}, administrator, nil, ""},
		"a second time":                          {ApprovalCheck{Minimum: 2}, administrator, []Decision{{By: ada, Approved: true}}, slipway.CodeConflict},
		"a job, even with the role":              {ApprovalCheck{}, Caller{job, "administrator"}, nil, slipway.CodeForbidden},
		"nobody":                                 {ApprovalCheck{Approvers: []Approver{{Role: "contributor"}}}, Caller{}, nil, slipway.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := slipway.CodeOf(c.check.MayDecide(c.caller, bob, c.earlier)); got != c.want {
				t.Errorf("got code %q, want %q", got, c.want)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	expires := start.Add(time.Hour)
	yes, no := Decision{Approved: true}, Decision{}
	for name, c := range map[string]struct {
		minimum   int
		decisions []Decision
		now       time.Time
		want      State
	}{
		"nothing said":                {0, nil, start, Pending},
		"one is enough":               {0, []Decision{yes}, start, Approved},
		"one of two":                  {2, []Decision{yes}, start, Pending},
		"two of two":                  {2, []Decision{yes, yes}, start, Approved},
		"one no ends it":              {2, []Decision{yes, no}, start, Rejected},
		"nothing said in time":        {0, nil, expires, TimedOut},
		"too few in time":             {2, []Decision{yes}, expires, TimedOut},
		"a no counts after the time":  {1, []Decision{no}, expires, Rejected},
		"a yes counts after the time": {1, []Decision{yes}, expires, Approved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (ApprovalCheck{Minimum: c.minimum}).settle(c.decisions, c.now, expires); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for want, states := range map[State][]State{
		Approved:  {},
		Pending:   {Approved, Pending},
		Rejected:  {Pending, Rejected},
		TimedOut:  {Approved, TimedOut},
		Cancelled: {Approved, Cancelled},
	} {
		if got := summary(states); got != want {
			t.Errorf("summary(%v) = %s, want %s", states, got, want)
		}
	}
}

func TestApprovalCheckIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]ApprovalCheck{
		"an approver that is nobody":    {Approvers: []Approver{{}}},
		"an approver that is both":      {Approvers: []Approver{{User: "u", Role: "administrator"}}},
		"a role that does not exist":    {Approvers: []Approver{{Role: "king"}}},
		"more approvals than approvers": {Approvers: []Approver{{User: "u"}, {User: "u"}}, Minimum: 2},
		"a negative timeout":            {TimeoutMinutes: -1},
	} {
		if code := slipway.CodeOf(c.check()); code != slipway.CodeInvalid {
			t.Errorf("%s: code %q, want invalid", name, code)
		}
	}
	good := ApprovalCheck{Approvers: []Approver{{User: "u"}, {Role: "contributor"}}, Minimum: 3, TimeoutMinutes: 60}
	if err := good.check(); err != nil {
		t.Error(err)
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ project, environment, want string }{
		{"sample", "dev", "sample-dev"},
		{"Sample", "Production", "sample-production"},
	} {
		if got := Namespace(c.project, c.environment); got != c.want {
			t.Errorf("Namespace(%q, %q) = %q, want %q", c.project, c.environment, got, c.want)
		}
	}
	seen := map[string]string{}
	for _, environment := range []string{"my env", "my.env", "my_env", "-", "日本", "straße", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		got := Namespace("p", environment)
		if len(got) > 63 || !namespaceName.MatchString(got) {
			t.Errorf("Namespace of %q is %q, not an RFC 1123 label", environment, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q have the same namespace %q", environment, other, got)
		}
		seen[got] = environment
	}
}
