package retention

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway"
)

// recent is how long what was pushed is left alone, whatever a policy says: its push may not be over.
const recent = time.Hour

// Decide gives the fate of each tag, in the order of their names, and then of each manifest without a tag.
func Decide(p Policy, r Repository) []Fate {
	d := decision{policy: p, repository: r, manifests: map[slipway.Digest]Manifest{}, uses: map[slipway.Digest]string{}, tagUses: map[string]string{}}
	for _, m := range r.Manifests {
		d.manifests[m.Digest] = m
	}
	d.use()
	d.decideTags()
	d.decideUntagged()
	return d.fates
}

type decision struct {
	policy     Policy
	repository Repository
	manifests  map[slipway.Digest]Manifest
	uses       map[slipway.Digest]string // why it is needed outside
	tagUses    map[string]string
	fates      []Fate
}

// use spreads the uses from what runs to the indexes that it is part of: those are what was deployed, or will be.
func (d *decision) use() {
	for _, u := range d.repository.Uses {
		if _, ok := d.manifests[u.Digest]; ok && d.uses[u.Digest] == "" {
			d.uses[u.Digest] = u.Where
		}
		if u.Tag != "" && u.Repository == d.repository.Name {
			d.tagUses[u.Tag] = u.Where
		}
	}
	for changed := true; changed; {
		changed = false
		for _, m := range d.repository.Manifests {
			for _, child := range m.Children {
				if d.uses[m.Digest] == "" && d.uses[child] != "" {
					d.uses[m.Digest], changed = d.uses[child], true
				}
			}
		}
	}
}

// companion is the form of tags that clients without the referrers API use, and cosign: they are about another manifest.
var companion = regexp.MustCompile(`^(sha256|sha512)-([0-9a-f]{64,128})(\..*)?$`)

func subjectOf(tag string) (slipway.Digest, bool) {
	m := companion.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	return slipway.Digest(m[1] + ":" + m[2]), true
}

func (d *decision) decideTags() {
	kept := d.keptByRules()
	for _, t := range d.repository.Tags {
		reason := d.outside(t)
		subject, about := subjectOf(t.Name)
		switch _, there := d.manifests[subject]; {
		case reason != "":
		case about && there:
			reason = "is about " + subject.Short() + ", which is there"
		case about && (len(d.policy.Remove) > 0 || d.policy.UntaggedDays > 0):
			d.settle(t, "", "it is about "+subject.Short()+", which is gone")
			continue
		case Match(d.policy.Remove, t.Name) == "":
			reason = "is not among the tags that the policy removes"
		default:
			reason = kept[t.Name]
		}
		d.settle(t, reason, "no rule keeps it: pushed "+ago(d.repository.Now, t.Moved)+", "+pulled(d.repository.Now, t.Pulled))
	}
	slices.SortFunc(d.fates, func(a, b Fate) int { return strings.Compare(a.Tag, b.Tag) })
}

// outside is why a tag stays whatever the rules say.
func (d *decision) outside(t Tag) string {
	switch {
	case d.uses[t.Digest] != "":
		return d.uses[t.Digest]
	case d.tagUses[t.Name] != "":
		return d.tagUses[t.Name]
	case Match(d.repository.Immutable, t.Name) != "":
		return "is immutable: it matches " + Match(d.repository.Immutable, t.Name)
	case t.Locked:
		return "is locked"
	case d.repository.Now.Sub(t.Moved) < recent:
		return "was pushed less than an hour ago"
	}
	return ""
}

// settle writes a tag's fate: it goes, for the reason otherwise, when there is no reason to keep it.
func (d *decision) settle(t Tag, reason, otherwise string) {
	f := Fate{Tag: t.Name, Digest: t.Digest, Size: d.manifests[t.Digest].Size, Keep: reason != "", Reason: reason, Moved: t.Moved, Pulled: t.Pulled}
	if !f.Keep {
		f.Reason = otherwise
	}
	d.fates = append(d.fates, f)
}

// keptByRules are the tags that a rule keeps, each with the reason.
func (d *decision) keptByRules() map[string]string {
	reasons := map[string]string{}
	for _, rule := range d.policy.Keep {
		if len(rule.Repositories) > 0 && Match(rule.Repositories, d.repository.Name) == "" {
			continue
		}
		var tags []Tag
		for _, t := range d.repository.Tags {
			if _, about := subjectOf(t.Name); !about && (len(rule.Tags) == 0 || Match(rule.Tags, t.Name) != "") {
				tags = append(tags, t)
			}
		}
		slices.SortFunc(tags, func(a, b Tag) int { return cmp.Or(b.Moved.Compare(a.Moved), strings.Compare(b.Name, a.Name)) })
		for i, t := range tags {
			if reason := rule.keeps(d.repository.Now, i, t); reason != "" && reasons[t.Name] == "" {
				reasons[t.Name] = reason
			}
		}
	}
	return reasons
}

// keeps is why the rule keeps the tag, which is at the place from 0 among those that match it, the newest first.
func (r Rule) keeps(now time.Time, place int, t Tag) string {
	about := ""
	if len(r.Tags) > 0 {
		about = " that match " + strings.Join(r.Tags, ", ")
	}
	switch {
	case r.Newest == 0 && r.PulledDays == 0 && r.PushedDays == 0:
		return "is one of the tags" + cmp.Or(about, " of the repository") + ", which all stay"
	case place < r.Newest:
		return fmt.Sprintf("is number %d of the newest %d tags%s", place+1, r.Newest, about)
	case !t.Pulled.IsZero() && now.Sub(t.Pulled) <= days(r.PulledDays):
		return fmt.Sprintf("was pulled %s, within %s", ago(now, t.Pulled), dayCount(r.PulledDays))
	case r.PushedDays > 0 && now.Sub(t.Moved) <= days(r.PushedDays):
		return fmt.Sprintf("was pushed %s, within %s", ago(now, t.Moved), dayCount(r.PushedDays))
	}
	return ""
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func ago(now, t time.Time) string {
	d := now.Sub(t)
	switch {
	case d < time.Hour:
		return "just now"
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func pulled(now, t time.Time) string {
	if t.IsZero() {
		return "never pulled"
	}
	return "last pulled " + ago(now, t)
}

func dayCount(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
