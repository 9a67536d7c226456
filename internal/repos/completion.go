package repos

import (
	"fmt"
	"strings"

	"slipway"
)

// Completion is how a pull request comes to its target.
type Completion struct {
	Strategy     MergeStrategy `json:"strategy"`                // empty for one whose commits somebody pushed to the target
	Message      string        `json:"message"`                 // of the merge or squash commit
	DeleteSource bool          `json:"delete_source"`           // the source branch goes
	ResolveItems bool          `json:"resolve_items,omitempty"` // the linked work items are finished by it
	// Bypass is why policies were bypassed that did not hold, and Bypassed what they said. Empty when none was.
	Bypass   string   `json:"bypass,omitempty"`
	Bypassed []string `json:"bypassed,omitempty"`
}

// CompleteRequest asks for a completion.
type CompleteRequest struct {
	Completion                  // NoFastForward, and a message of title and description, when empty
	Expect     slipway.CommitID // when not zero: what the source must be at, else it is a Conflict
	Committer  Signature        // of what is written; a zero time means now
	Actor      slipway.Actor
}

// DefaultMessage is the message of the commit that completes a pull request, as Azure Repos writes it.
func (p PullRequest) DefaultMessage() string {
	message := fmt.Sprintf("Merged PR %d: %s", p.ID, p.Title)
	if text := strings.TrimSpace(p.Description); text != "" {
		message += "\n\n" + shorten(text, maxNewMessage/2)
	}
	return message
}

// checkForm refuses what git could not write.
func (r CompleteRequest) checkForm() error {
	if len(r.Message) > maxNewMessage || strings.ContainsRune(r.Message, 0) {
		return slipway.Invalid("the message of a commit has at most %d bytes", maxNewMessage)
	}
	return r.Committer.check("a committer")
}

func (r CompleteRequest) check(p PullRequest) error {
	if err := r.checkForm(); err != nil {
		return err
	}
	switch {
	case p.Status != PullRequestActive:
		return slipway.Conflict("pull request %d is %s already", p.ID, p.Status)
	case p.Draft:
		return slipway.Conflict("pull request %d is a draft: publish it first", p.ID)
	case !r.Expect.IsZero() && r.Expect != p.SourceCommit:
		return slipway.Conflict("branch %s is at %s, not at %s: somebody pushed; look at it again", p.SourceBranch(), p.SourceCommit.Short(), r.Expect.Short())
	case p.MergeStatus == MergeConflicts:
		return slipway.Conflict("branch %s conflicts with %s in %s: merge %s into it and push", p.SourceBranch(), p.TargetBranch(),
			strings.Join(p.Conflicts, ", "), p.TargetBranch())
	case p.MergeStatus != MergeSucceeded:
		return slipway.Conflict("pull request %d cannot be merged: %s", p.ID, p.MergeReason)
	}
	return nil
}
