package api

import (
	"errors"
	"io"
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/scans"
)

// maxScanRequest bounds a policy or an exception, in bytes.
const maxScanRequest = 64 << 10

// sbomTypes are the media types of the formats' names.
var sbomTypes = map[string]string{"": scans.TypeSPDX, "spdx": scans.TypeSPDX, "cyclonedx": scans.TypeCycloneDX}

// sbom sends the bill of materials that the server made of an image, in the ?format= that is asked for: spdx or cyclonedx.
func (s scanRoutes) sbom(w http.ResponseWriter, r request) error {
	format := r.URL.Query().Get("format")
	kind, ok := sbomTypes[format]
	if !ok {
		return slipway.Invalid("format %.40q: write spdx or cyclonedx", format)
	}
	repository, d, err := s.image(r, "image")
	if err != nil {
		return err
	}
	b, err := s.scans.SBOM(r.Context(), repository, d, kind)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	_, err = w.Write(b)
	return err
}

// SBOMTaken says what was read of a bill of materials.
type SBOMTaken struct {
	Packages int `json:"packages"`
}

// putSBOM takes a bill of materials for an image.
func (s scanRoutes) putSBOM(w http.ResponseWriter, r request) error {
	repository, d, err := s.image(r, "image")
	if err != nil {
		return err
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, scans.MaxDocument))
	if tooLarge := (&http.MaxBytesError{}); errors.As(err, &tooLarge) {
		return slipway.Limit("the bill of materials has more than %d bytes", scans.MaxDocument)
	}
	if err != nil {
		return slipway.Invalid("the bill of materials cannot be read: %v", err)
	}
	n, err := s.scans.PutDocument(r.Context(), repository, d, content, r.caller.Actor)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusCreated, SBOMTaken{n})
	return nil
}

// Verdict is what the project's policy says of an image.
type Verdict struct {
	Image    string          `json:"image"`
	Enforced bool            `json:"enforced"` // jobs cannot push such an image
	Refused  []scans.Finding `json:"refused"`
	Accepted []scans.Finding `json:"accepted"`
	Problem  string          `json:"problem,omitempty"` // why it is refused, in a sentence
}

func (s scanRoutes) verdict(w http.ResponseWriter, r request) error {
	p, err := s.scans.Policy(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	out := Verdict{Image: r.URL.Query().Get("image"), Enforced: p.Pushes && p.Severity != "", Refused: []scans.Finding{}, Accepted: []scans.Finding{}}
	repository, d, err := s.image(r, "image")
	if err != nil {
		return err
	}
	v, err := s.scans.Judge(r.Context(), r.project.ID, repository, d)
	if err != nil {
		return err
	}
	out.Image = repository + "@" + string(d)
	out.Refused, out.Accepted = append(out.Refused, v.Refused...), append(out.Accepted, v.Accepted...)
	if problem := v.Problem(out.Image); problem != nil {
		out.Problem = problem.Error()
	}
	httpx.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (s scanRoutes) policy(w http.ResponseWriter, r request) error {
	p, err := s.scans.Policy(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, p)
	return nil
}

func (s scanRoutes) setPolicy(w http.ResponseWriter, r request) error {
	var p scans.Policy
	if err := httpx.ReadJSON(w, r.Request, maxScanRequest, &p); err != nil {
		return err
	}
	if err := s.scans.SetPolicy(r.Context(), r.project.ID, p, r.caller.Actor); err != nil {
		return err
	}
	return s.policy(w, r)
}

func (s scanRoutes) exceptions(w http.ResponseWriter, r request) error {
	all, err := s.scans.Exceptions(r.Context(), r.project.ID)
	if err != nil {
		return err
	}
	return list(w, all)
}

func (s scanRoutes) accept(w http.ResponseWriter, r request) error {
	var e scans.Exception
	if err := httpx.ReadJSON(w, r.Request, maxScanRequest, &e); err != nil {
		return err
	}
	if err := s.scans.Accept(r.Context(), r.project.ID, e, r.caller.Actor); err != nil {
		return err
	}
	return s.exceptions(w, r)
}

// withdraw ends the exception of ?vulnerability= and ?package=.
func (s scanRoutes) withdraw(w http.ResponseWriter, r request) error {
	q := r.URL.Query()
	if err := s.scans.Withdraw(r.Context(), r.project.ID, q.Get("vulnerability"), q.Get("package"), r.caller.Actor); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
