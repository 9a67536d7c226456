package api

import (
	"encoding/json"
	"net/http"

	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/registry"
)

// AddVerification serves the check of the registry's contents.
func (s *Server) AddVerification(r *registry.Service) {
	s.installation("POST", "/slipway/registry/verify", identity.Administer, verifyRoute{s, r}.verify)
}

type verifyRoute struct {
	*Server
	registry *registry.Service
}

// Verification is one line of the answer: exactly one field is set. The last line has Done or Error.
type Verification struct {
	Progress *VerifyProgress `json:"progress,omitempty"`
	Finding  *VerifyFinding  `json:"finding,omitempty"`
	Done     *VerifyProgress `json:"done,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// VerifyProgress is how far a verification is.
type VerifyProgress struct {
	Blobs      int64 `json:"blobs"`
	BlobsTotal int64 `json:"blobsTotal"`
	Bytes      int64 `json:"bytes"`
	BytesTotal int64 `json:"bytesTotal"`
	Manifests  int64 `json:"manifests"`
	Findings   int64 `json:"findings"`
}

// VerifyFinding is a content with a flaw.
type VerifyFinding struct {
	Flaw   string      `json:"flaw"` // damaged, lost or incomplete
	Digest string      `json:"digest"`
	Detail string      `json:"detail"`
	Uses   []VerifyUse `json:"uses"`
}

// VerifyUse is where a content is used.
type VerifyUse struct {
	Repository string   `json:"repository"`
	Tags       []string `json:"tags"`
}

// verify answers with lines of JSON, as things are found. When the caller goes away, the verification ends.
func (v verifyRoute) verify(w http.ResponseWriter, r request) error {
	var body struct {
		Repository string `json:"repository"` // empty for all
	}
	if err := httpx.ReadJSON(w, r.Request, 64<<10, &body); err != nil {
		return err
	}
	var repo registry.Repository
	if body.Repository != "" {
		var err error
		if repo, err = v.registry.Repository(r.Context(), body.Repository); err != nil {
			return err
		}
	}
	began := false
	write := func(line Verification) error {
		if !began {
			began = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		if err := json.NewEncoder(w).Encode(line); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	var last registry.Progress
	err := v.registry.Verify(r.Context(), repo, func(f registry.Finding) error {
		return write(Verification{Finding: verifyFinding(f)})
	}, func(p registry.Progress) error {
		last = p
		return write(Verification{Progress: verifyProgress(p)})
	})
	if err == nil {
		return write(Verification{Done: verifyProgress(last)})
	}
	if !began || r.Context().Err() != nil {
		return err
	}
	httpx.LogError(v.logger, r.Request, err) // the status is sent already
	return write(Verification{Error: httpx.Problem(r.Request, err).Message})
}

func verifyProgress(p registry.Progress) *VerifyProgress {
	return &VerifyProgress{Blobs: p.Blobs, BlobsTotal: p.BlobsTotal, Bytes: p.Bytes, BytesTotal: p.BytesTotal, Manifests: p.Manifests, Findings: p.Findings}
}

func verifyFinding(f registry.Finding) *VerifyFinding {
	out := &VerifyFinding{Flaw: string(f.Flaw), Digest: string(f.Digest), Detail: f.Detail, Uses: []VerifyUse{}}
	for _, u := range f.Uses {
		tags := u.Tags
		if tags == nil {
			tags = []string{}
		}
		out.Uses = append(out.Uses, VerifyUse{Repository: u.Repository, Tags: tags})
	}
	return out
}
