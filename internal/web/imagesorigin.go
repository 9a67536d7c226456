package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"slipway"
	"slipway/internal/pipelines"
	"slipway/internal/registry"
	"slipway/internal/signing"
)

// originView says where an image comes from and who vouches for it.
type originView struct {
	Signers  []signer
	Failed   int // statements that do not verify by this server's root
	ByKey    int // statements that are signed with a key of somebody's
	Reason   string
	Unsigned bool // no pipeline signed it
	Pipeline bool // a job of a run pushed it
	PushedBy string
	Tests    []testsPassed
	TestsURL string
	Command  string // that verifies it
}

// signer is one identity, of one run, that vouches for the image.
type signer struct {
	Identity, Source, SourceURL, Ref, Commit, CommitURL, Run, RunURL, Trigger string
	Signed                                                                    time.Time
	Signature, Provenance                                                     bool
	Parameters                                                                []string
}

type testsPassed struct {
	Title, For            string
	Passed, Failed, Total int
}

// maxOriginStatements is how many statements of an image its page verifies.
const maxOriginStatements = 50

func (p imagesPages) originOf(ctx context.Context, v View, repo registry.Repository, m registry.Manifest, host string) (originView, error) {
	view := originView{Pipeline: m.Run != 0, PushedBy: cmp.Or(m.By.Name, "somebody")}
	verifier, err := p.things.Signing.Verifier(ctx)
	if err != nil {
		return view, err
	}
	attachments, err := p.registry.Attachments(ctx, repo, m.Digest, signing.BundleType, maxOriginStatements)
	if err != nil {
		return view, err
	}
	for _, a := range attachments {
		if signing.SignedByKey(a.Content) {
			view.ByKey++
			continue
		}
		verified, err := verifier.Verify(a.Content, m.Digest, signing.Wanted{})
		if err != nil {
			view.Failed++
			view.Reason = err.Error()
			continue
		}
		view.Signers = withStatement(view.Signers, verified, p.things.Signing.URL())
	}
	view.Unsigned = len(view.Signers) == 0 && view.Failed == 0
	slices.SortFunc(view.Signers, func(a, b signer) int { return b.Signed.Compare(a.Signed) })
	view.Command = fmt.Sprintf("slipway verify %s/%s@%s", host, repo.Name, m.Digest)
	if m.Run == 0 {
		return view, nil
	}
	runs, err := p.things.Pipelines.TestRuns(ctx, m.Run)
	if err != nil {
		return view, err
	}
	view.addTests(runs)
	view.TestsURL = fmt.Sprintf("%s?buildId=%d", v.URL("_build", "results"), m.Run)
	return view, nil
}

func (o *originView) addTests(runs []pipelines.TestRun) {
	for _, t := range runs {
		o.Tests = append(o.Tests, testsPassed{Title: t.Title, For: runFor(t.Platform, t.Configuration), Passed: t.Passed, Failed: t.Failed, Total: t.Total})
	}
}

// withStatement adds a verified statement to those of its identity and run. Links go to this server alone.
func withStatement(list []signer, v signing.Verified, server string) []signer {
	i := slices.IndexFunc(list, func(s signer) bool { return s.Identity == v.Identity && s.Run == v.Run })
	if i < 0 {
		s := signer{Identity: v.Identity, Source: v.Repository, SourceURL: ownPath(v.Repository, server), Ref: v.Ref, Commit: v.Commit, Run: v.Run,
			RunURL: ownPath(v.Run, server), Trigger: v.Trigger, Signed: v.Signed}
		if s.SourceURL != "" {
			s.CommitURL = s.SourceURL + "/commit/" + url.PathEscape(v.Commit)
		}
		list, i = append(list, s), len(list)
	}
	switch v.PredicateType {
	case signing.PredicateSignature:
		list[i].Signature = true
	case signing.PredicateProvenance:
		list[i].Provenance = true
		for name, value := range v.Provenance.BuildDefinition.ExternalParameters.Parameters {
			list[i].Parameters = append(list[i].Parameters, fmt.Sprintf("%s=%v", name, value))
		}
		slices.Sort(list[i].Parameters)
	}
	return list
}

// ownPath is the path of an address of this server, empty for another's.
func ownPath(address, server string) string {
	path, ok := strings.CutPrefix(address, server)
	if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return ""
	}
	return path
}

// shortCommit is a commit as pages show it.
func shortCommit(s string) string { return slipway.CommitID(s).Short() }
