package web

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway"
	"slipway/internal/identity"
	"slipway/internal/scans"
)

// policyView is the page of what a project does not accept in its images.
type policyView struct {
	URL, Images        string
	Policy             scans.Policy
	Exceptions         []scans.Exception
	Now                time.Time
	MayChange          bool
	Vulnerability, For string // to fill in: what is to be accepted, in which package
}

// severityNames are those that a policy may name, with what they mean.
var severityNames = [][2]string{{"", "nothing"}, {"critical", "critical"}, {"high", "high or worse"}, {"medium", "medium or worse"}, {"low", "low or worse"}, {"unknown", "any, also of unknown severity"}}

func (p imagesPages) scanPolicy(w http.ResponseWriter, r *http.Request, v View) error {
	ctx, q := r.Context(), r.URL.Query()
	view := policyView{URL: v.URL("_vulnerabilities"), Images: v.URL("_images"), Now: p.things.Scans.Clock.Now(), Vulnerability: q.Get("vulnerability"), For: q.Get("package"),
		MayChange: p.identity.Authorize(ctx, v.Caller, identity.Administer, v.Project.ID) == nil}
	var err error
	if view.Policy, err = p.things.Scans.Policy(ctx, v.Project.ID); err != nil {
		return err
	}
	if view.Exceptions, err = p.things.Scans.Exceptions(ctx, v.Project.ID); err != nil {
		return err
	}
	return p.Render(w, r, v.Titled("Vulnerabilities", "images"), policyPage(view))
}

// changeScanPolicy takes the forms of the page.
func (p imagesPages) changeScanPolicy(w http.ResponseWriter, r *http.Request, v View) error {
	if err := r.ParseForm(); err != nil {
		return slipway.Invalid("the form cannot be read: %v", err)
	}
	var err error
	ctx, form, service := r.Context(), r.PostForm, p.things.Scans
	switch form.Get("do") {
	case "policy":
		err = service.SetPolicy(ctx, v.Project.ID, scans.Policy{Severity: form.Get("severity"), Unfixed: form.Get("unfixed") != "", Pushes: form.Get("pushes") != "",
			Environments: strings.Fields(form.Get("environments"))}, v.Caller.Actor)
	case "accept":
		var day time.Time
		if day, err = time.Parse(time.DateOnly, form.Get("until")); err != nil {
			return slipway.Invalid("the day %.40q is not written as 2027-03-31", form.Get("until"))
		}
		err = service.Accept(ctx, v.Project.ID, scans.Exception{Vulnerability: form.Get("vulnerability"), Package: form.Get("package"), Reason: form.Get("reason"),
			Until: day.AddDate(0, 0, 1)}, v.Caller.Actor)
	case "withdraw":
		err = service.Withdraw(ctx, v.Project.ID, form.Get("vulnerability"), form.Get("package"), v.Caller.Actor)
	default:
		err = slipway.Invalid("the form does not say what to do")
	}
	if err != nil {
		return err
	}
	return p.Redirect(w, r, v.URL("_vulnerabilities"))
}

// acceptURL is the page on which a finding can be accepted.
func acceptURL(policy string, f scans.Finding) string {
	return policy + "?" + url.Values{"vulnerability": {f.ID}, "package": {f.Package}}.Encode() + "#accept"
}

// sbomURL downloads an image's bill of materials.
func sbomURL(v View, image, format string) string {
	return v.URL("_apis", "slipway", "images", "sbom") + "?" + url.Values{"image": {image}, "format": {format}}.Encode()
}
