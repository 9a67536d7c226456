package api

import (
	"net/http"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/registry"
	"slipway/internal/scans"
)

type scanRoutes struct {
	*Server
	scans    *scans.Service
	registry *registry.Service
}

// maxRecords bounds an import of vulnerabilities' records, in bytes.
const maxRecords = 4 << 30

// AddScans serves what is in images, how two differ, which known vulnerabilities they have, and which of those a project does not accept;
// images are named in the query as ?image=REPOSITORY:TAG or @DIGEST, with &platform= for an index.
func (s *Server) AddScans(sc *scans.Service, r *registry.Service) {
	routes := scanRoutes{s, sc, r}
	s.project("GET", "/slipway/images/packages", identity.Read, routes.packages)
	s.project("GET", "/slipway/images/diff", identity.Read, routes.diff)
	s.project("GET", "/slipway/images/vulnerabilities", identity.Read, routes.findings)
	s.project("GET", "/slipway/images/sbom", identity.Read, routes.sbom)
	s.project("POST", "/slipway/images/sbom", identity.Contribute, routes.putSBOM)
	s.project("GET", "/slipway/images/verdict", identity.Read, routes.verdict)
	s.project("GET", "/slipway/images/policy", identity.Read, routes.policy)
	s.project("PUT", "/slipway/images/policy", identity.Administer, routes.setPolicy)
	s.project("GET", "/slipway/images/exceptions", identity.Read, routes.exceptions)
	s.project("POST", "/slipway/images/exceptions", identity.Administer, routes.accept)
	s.project("DELETE", "/slipway/images/exceptions", identity.Administer, routes.withdraw)
	s.installation("GET", "/slipway/vulnerabilities", identity.Administer, routes.ecosystems)
	s.installation("POST", "/slipway/vulnerabilities", identity.Administer, routes.importRecords)
}

func (s scanRoutes) image(r request, parameter string) (string, slipway.Digest, error) {
	q := r.URL.Query()
	if q.Get(parameter) == "" {
		return "", "", slipway.Invalid("name the image as ?%s=REPOSITORY:TAG", parameter)
	}
	repo, d, err := s.registry.Image(r.Context(), r.project.ID, q.Get(parameter), q.Get("platform"))
	if err != nil {
		return "", "", err
	}
	// An image of before there was a scanner, or of just now, is asked for here.
	return repo.Name, d, s.scans.Want(r.Context(), r.project.ID, repo.Name, d)
}

func (s scanRoutes) packages(w http.ResponseWriter, r request) error {
	repository, d, err := s.image(r, "image")
	if err != nil {
		return err
	}
	packages, err := s.scans.Packages(r.Context(), repository, d)
	if err != nil {
		return err
	}
	return list(w, packages)
}

func (s scanRoutes) diff(w http.ResponseWriter, r request) error {
	var sides [2][]scans.Package
	for i, parameter := range []string{"from", "to"} {
		repository, d, err := s.image(r, parameter)
		if err != nil {
			return err
		}
		if sides[i], err = s.scans.Packages(r.Context(), repository, d); err != nil {
			return err
		}
	}
	return list(w, scans.Diff(sides[0], sides[1]))
}

// Vulnerabilities are those of an image.
type Vulnerabilities struct {
	Image    string          `json:"image"`
	Packages int             `json:"packages"`
	Counts   scans.Counts    `json:"counts"` // of all, whatever severity was asked for
	Findings []scans.Finding `json:"findings"`
}

func (s scanRoutes) findings(w http.ResponseWriter, r request) error {
	severity := r.URL.Query().Get("severity")
	if severity == "" {
		severity = "unknown"
	}
	if err := scans.CheckSeverity(severity); err != nil {
		return err
	}
	repository, d, err := s.image(r, "image")
	if err != nil {
		return err
	}
	findings, summary, err := s.scans.Findings(r.Context(), r.project.ID, repository, d)
	if err != nil {
		return err
	}
	httpx.WriteJSON(w, http.StatusOK, Vulnerabilities{Image: repository + "@" + string(d), Packages: summary.Packages, Counts: summary.Counts,
		Findings: scans.AtLeast(findings, severity)})
	return nil
}

func (s scanRoutes) ecosystems(w http.ResponseWriter, r request) error {
	all, err := s.scans.Ecosystems(r.Context())
	if err != nil {
		return err
	}
	return list(w, all)
}

func (s scanRoutes) importRecords(w http.ResponseWriter, r request) error {
	all, err := s.scans.Import(r.Context(), http.MaxBytesReader(w, r.Body, maxRecords))
	if err != nil {
		return err
	}
	return list(w, all)
}
