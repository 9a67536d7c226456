package retention

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway"
)

// decideUntagged gives the fate of the manifests that have no tag. Those whose last tag goes now stay for the policy's days.
func (d *decision) decideUntagged() {
	tagged := map[slipway.Digest]bool{}
	for _, t := range d.repository.Tags {
		tagged[t.Digest] = true
	}
	reasons := map[slipway.Digest]string{} // of the untagged ones that stay
	var going []Manifest
	for _, m := range d.repository.Manifests {
		if tagged[m.Digest] {
			continue
		}
		if reasons[m.Digest] = d.alone(m); reasons[m.Digest] == "" {
			going = append(going, m)
		}
	}
	d.keepTogether(going, reasons)
	var fates []Fate
	for _, m := range d.repository.Manifests {
		if tagged[m.Digest] {
			continue
		}
		f := Fate{Digest: m.Digest, Size: m.Size, Keep: reasons[m.Digest] != "", Reason: reasons[m.Digest], Moved: m.Touched, Pulled: m.Pulled}
		if !f.Keep {
			f.Reason = fmt.Sprintf("has had no tag for %s, more than %d", dayCount(int(d.repository.Now.Sub(lastTouch(m)).Hours()/24)), d.policy.UntaggedDays)
		}
		fates = append(fates, f)
	}
	slices.SortFunc(fates, func(a, b Fate) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	d.fates = append(d.fates, fates...)
}

// lastTouch is when somebody last relied on the manifest.
func lastTouch(m Manifest) time.Time {
	if m.Pulled.After(m.Touched) {
		return m.Pulled
	}
	return m.Touched
}

// alone is why a manifest without a tag stays for its own sake.
func (d *decision) alone(m Manifest) string {
	age := d.repository.Now.Sub(lastTouch(m))
	switch {
	case d.uses[m.Digest] != "":
		return d.uses[m.Digest]
	case m.Locked:
		return "is locked"
	case d.policy.UntaggedDays == 0:
		return "has no tag, and the policy keeps those"
	case age <= days(d.policy.UntaggedDays):
		return fmt.Sprintf("was pushed, pulled or tagged %s, within %s", ago(d.repository.Now, lastTouch(m)), dayCount(d.policy.UntaggedDays))
	}
	return ""
}

// keepTogether keeps, of those that would go, the parts of indexes that stay and what is about manifests that stay.
func (d *decision) keepTogether(going []Manifest, reasons map[slipway.Digest]string) {
	gone := map[slipway.Digest]bool{}
	for _, m := range going {
		gone[m.Digest] = true
	}
	for changed := true; changed; {
		changed = false
		keep := func(digest slipway.Digest, reason string) {
			if gone[digest] {
				gone[digest], reasons[digest], changed = false, reason, true
			}
		}
		for _, m := range d.repository.Manifests {
			if gone[m.Digest] {
				continue
			}
			for _, child := range m.Children {
				keep(child, "is part of "+m.Digest.Short()+", which stays")
			}
		}
		for _, m := range going {
			if _, there := d.manifests[m.Subject]; there && !gone[m.Subject] {
				keep(m.Digest, "is about "+m.Subject.Short()+", which stays")
			}
		}
	}
}
