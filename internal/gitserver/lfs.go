package gitserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"slipway"
	"slipway/internal/httpx"
	"slipway/internal/identity"
	"slipway/internal/repos"
)

// The bounds of Git LFS.
const (
	lfsMedia      = "application/vnd.git-lfs+json"
	maxLFSBody    = 4 << 20
	maxLFSBatch   = 1000     // objects
	maxLFSObject  = 16 << 30 // bytes
	lfsLocksShown = 1000
)

// serveLFS answers the API of Git LFS below info/lfs (github.com/git-lfs/git-lfs, docs/api). Its errors are JSON.
func (s *Server) serveLFS(w http.ResponseWriter, r *http.Request, a address) {
	err := s.lfs(w, r, a)
	if err == nil {
		return
	}
	httpx.LogError(s.logger, r, err)
	p := httpx.Problem(r, err)
	if p.Code == slipway.CodeUnauthenticated {
		w.Header().Set("LFS-Authenticate", `Basic realm="Slipway"`)
		w.Header().Set("WWW-Authenticate", `Basic realm="Slipway"`)
	}
	writeLFS(w, httpx.Status(p.Code), map[string]string{"message": p.Message, "request_id": httpx.RequestID(r.Context())})
}

func writeLFS(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", lfsMedia)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

// readLFS reads a body of the API; wrong says what is the matter with one that is none.
func readLFS(w http.ResponseWriter, r *http.Request, into any, wrong string) error {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLFSBody)).Decode(into)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return slipway.Limit("the request's body has more than %d bytes", maxLFSBody)
	case err != nil:
		return slipway.Invalid("%s: %v", wrong, err)
	}
	return nil
}

// lfs chooses by method and path. What writes needs the right to push.
func (s *Server) lfs(w http.ResponseWriter, r *http.Request, a address) error {
	rest := strings.TrimPrefix(a.rest, "info/lfs/")
	oid, isObject := strings.CutPrefix(rest, "objects/")
	lock, isUnlock := strings.CutSuffix(strings.TrimPrefix(rest, "locks/"), "/unlock")
	switch route := r.Method + " " + rest; {
	case route == "POST objects/batch":
		return s.lfsBatch(w, r, a)
	case route == "POST verify":
		return s.lfsVerify(w, r, a)
	case isObject && r.Method == http.MethodPut:
		return s.lfsUpload(w, r, a, oid)
	case isObject && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return s.lfsDownload(w, r, a, oid)
	case route == "POST locks":
		return s.lfsLock(w, r, a)
	case route == "GET locks":
		return s.lfsLocks(w, r, a)
	case route == "POST locks/verify":
		return s.lfsVerifyLocks(w, r, a)
	case isUnlock && r.Method == http.MethodPost:
		return s.lfsUnlock(w, r, a, lock)
	}
	return slipway.NotFound("Git LFS has no %s %s here", r.Method, rest)
}

// lfsAdmit says who calls: by a token as git does, or by what git-lfs-authenticate gave over SSH.
func (s *Server) lfsAdmit(r *http.Request, a address, service string) (caller, error) {
	if c, ok, err := s.ticketed(r, a, service); ok || err != nil {
		return c, err
	}
	return s.admit(r, a, service)
}

type lfsObject struct {
	OID           string               `json:"oid"`
	Size          int64                `json:"size"`
	Authenticated bool                 `json:"authenticated,omitempty"`
	Actions       map[string]lfsAction `json:"actions,omitempty"`
	Error         *lfsError            `json:"error,omitempty"`
}

type lfsAction struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header,omitempty"`
}

type lfsError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (s *Server) lfsBatch(w http.ResponseWriter, r *http.Request, a address) error {
	var body struct {
		Operation string      `json:"operation"`
		Transfers []string    `json:"transfers"`
		HashAlgo  string      `json:"hash_algo"`
		Objects   []lfsObject `json:"objects"`
	}
	if err := readLFS(w, r, &body, "the request is no batch of Git LFS"); err != nil {
		return err
	}
	service := uploadPack
	switch body.Operation {
	case "download":
	case "upload":
		service = receivePack
	default:
		return slipway.Invalid("the operation is download or upload, not %q", body.Operation)
	}
	c, err := s.lfsAdmit(r, a, service)
	if err != nil {
		return err
	}
	basic := len(body.Transfers) == 0
	for _, t := range body.Transfers {
		basic = basic || t == "basic"
	}
	if !basic || body.HashAlgo != "" && body.HashAlgo != "sha256" {
		return slipway.Unsupported("this server has the transfer basic and the hash sha256: use git-lfs 2 or later")
	}
	if len(body.Objects) > maxLFSBatch {
		return slipway.Limit("a batch has at most %d objects", maxLFSBatch)
	}
	out := []lfsObject{}
	for _, o := range body.Objects {
		one, err := s.lfsPlan(r, a, c, body.Operation, o)
		if err != nil {
			return err
		}
		out = append(out, one)
	}
	writeLFS(w, http.StatusOK, map[string]any{"transfer": "basic", "objects": out, "hash_algo": "sha256"})
	return nil
}

// lfsPlan says what is to be done about one object.
func (s *Server) lfsPlan(r *http.Request, a address, c caller, operation string, o lfsObject) (lfsObject, error) {
	out := lfsObject{OID: o.OID, Size: o.Size}
	fail := func(code int, message string) (lfsObject, error) {
		out.Error = &lfsError{code, message}
		return out, nil
	}
	if repos.CheckOID(o.OID) != nil || o.Size < 0 {
		return fail(http.StatusUnprocessableEntity, "an object has a name of 64 hex digits and a size")
	}
	there, err := s.repos.LFSObject(r.Context(), c.repository.ID, o.OID)
	if err != nil && slipway.CodeOf(err) != slipway.CodeNotFound {
		return out, err
	}
	base := s.lfsBase(r, a)
	action := func(path string) lfsAction {
		return lfsAction{base + path, map[string]string{"Authorization": r.Header.Get("Authorization")}}
	}
	switch {
	case operation == "download" && err != nil:
		return fail(http.StatusNotFound, "the repository has no such object: push it with git lfs push --all")
	case operation == "download":
		out.Size, out.Authenticated, out.Actions = there.Size, true, map[string]lfsAction{"download": action("/objects/" + o.OID)}
	case o.Size > maxLFSObject:
		return fail(http.StatusUnprocessableEntity, "the file is too large")
	case err != nil:
		out.Authenticated, out.Actions = true, map[string]lfsAction{"upload": action("/objects/" + o.OID), "verify": action("/verify")}
	}
	return out, nil
}

// lfsBase is the address of the API as the client reached it: a job's pod knows the server by another name than people do.
func (s *Server) lfsBase(r *http.Request, a address) string {
	scheme := "http://"
	if r.TLS != nil || s.options.URL == "https://"+r.Host {
		scheme = "https://"
	}
	return scheme + r.Host + strings.TrimSuffix(r.URL.EscapedPath()[:strings.Index(r.URL.EscapedPath(), "/info/lfs")], "/") + "/info/lfs"
}

// moving reads a body and gives up when nothing moves for a while.
type moving struct {
	r       *http.Request
	control *http.ResponseController
	stall   time.Duration
}

func (m moving) Read(b []byte) (int, error) {
	if err := m.control.SetReadDeadline(time.Now().Add(m.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return m.r.Body.Read(b)
}

func (s *Server) lfsUpload(w http.ResponseWriter, r *http.Request, a address, oid string) error {
	c, err := s.lfsAdmit(r, a, receivePack)
	if err != nil {
		return err
	}
	free, err := s.wait(r.Context())
	if err != nil {
		return err
	}
	defer free()
	control := http.NewResponseController(w)
	r.Body = http.MaxBytesReader(w, r.Body, maxLFSObject)
	_, err = s.repos.PutLFSObject(r.Context(), c.principal.Actor, c.repository.ID, oid, moving{r, control, s.options.StallTime})
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return slipway.Limit("a file has at most %d bytes", int64(maxLFSObject))
	}
	if err != nil {
		return err
	}
	_ = control.SetReadDeadline(time.Time{}) // for the connection's next request
	w.WriteHeader(http.StatusOK)
	return nil
}

// writing gives up when the client takes nothing for a while.
type writing struct {
	http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
}

func (o writing) Write(b []byte) (int, error) {
	if err := o.control.SetWriteDeadline(time.Now().Add(o.stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return o.ResponseWriter.Write(b)
}

func (s *Server) lfsDownload(w http.ResponseWriter, r *http.Request, a address, oid string) error {
	c, err := s.lfsAdmit(r, a, uploadPack)
	if err != nil {
		return err
	}
	o, err := s.repos.OpenLFSObject(r.Context(), c.repository.ID, oid)
	if err != nil {
		return err
	}
	defer o.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	control := http.NewResponseController(w)
	http.ServeContent(writing{w, control, s.options.StallTime}, r, "", time.Time{}, o)
	_ = control.SetWriteDeadline(time.Time{})
	return nil
}

func (s *Server) lfsVerify(w http.ResponseWriter, r *http.Request, a address) error {
	c, err := s.lfsAdmit(r, a, receivePack)
	if err != nil {
		return err
	}
	var body lfsObject
	if err := readLFS(w, r, &body, "the request is no object of Git LFS"); err != nil {
		return err
	}
	there, err := s.repos.LFSObject(r.Context(), c.repository.ID, body.OID)
	if err == nil && there.Size != body.Size {
		err = slipway.Invalid("object %s has %d bytes, not %d", there.OID, there.Size, body.Size)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

type lfsLock struct {
	ID       string            `json:"id"`
	Path     string            `json:"path"`
	LockedAt time.Time         `json:"locked_at"`
	Owner    map[string]string `json:"owner"`
}

func newLFSLock(l repos.LFSLock) lfsLock {
	return lfsLock{strconv.FormatInt(l.ID, 10), l.Path, l.Locked, map[string]string{"name": l.Owner.Name}}
}

func (s *Server) lfsLock(w http.ResponseWriter, r *http.Request, a address) error {
	c, err := s.lfsAdmit(r, a, receivePack)
	if err != nil {
		return err
	}
	var body struct {
		Path string `json:"path"`
	}
	if err := readLFS(w, r, &body, "the request is no lock of Git LFS"); err != nil {
		return err
	}
	l, err := s.repos.LockFile(r.Context(), c.principal.Actor, c.repository.ID, body.Path)
	var p *slipway.Problem
	if errors.As(err, &p) && p.Code == slipway.CodeConflict && l.ID != 0 {
		writeLFS(w, http.StatusConflict, map[string]any{"lock": newLFSLock(l), "message": p.Message})
		return nil
	}
	if err != nil {
		return err
	}
	writeLFS(w, http.StatusCreated, map[string]any{"lock": newLFSLock(l)})
	return nil
}

// lockPage reads a page of locks.
func (s *Server) lockPage(r *http.Request, c caller, path, id, cursor string, limit int) (list []repos.LFSLock, next string, err error) {
	f := repos.LockFilter{Path: path, Limit: lfsLocksShown}
	if limit > 0 && limit < f.Limit {
		f.Limit = limit
	}
	for text, into := range map[string]*int64{id: &f.ID, cursor: &f.After} {
		if text == "" {
			continue
		}
		if *into, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, "", slipway.Invalid("%q is no number of a lock", text)
		}
	}
	list, err = s.repos.Locks(r.Context(), c.repository.ID, f)
	if err == nil && len(list) == f.Limit {
		next = strconv.FormatInt(list[len(list)-1].ID, 10)
	}
	return list, next, err
}

func (s *Server) lfsLocks(w http.ResponseWriter, r *http.Request, a address) error {
	c, err := s.lfsAdmit(r, a, uploadPack)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	list, next, err := s.lockPage(r, c, q.Get("path"), q.Get("id"), q.Get("cursor"), limit)
	if err != nil {
		return err
	}
	out := []lfsLock{}
	for _, l := range list {
		out = append(out, newLFSLock(l))
	}
	writeLFS(w, http.StatusOK, map[string]any{"locks": out, "next_cursor": next})
	return nil
}

// lfsVerifyLocks parts the locks in the caller's and those of others, of which the client lets no push touch the files.
func (s *Server) lfsVerifyLocks(w http.ResponseWriter, r *http.Request, a address) error {
	c, err := s.lfsAdmit(r, a, receivePack)
	if err != nil {
		return err
	}
	var body struct {
		Cursor string `json:"cursor"`
		Limit  int    `json:"limit"`
	}
	if err := readLFS(w, r, &body, "the request does not verify locks"); err != nil {
		return err
	}
	list, next, err := s.lockPage(r, c, "", "", body.Cursor, body.Limit)
	if err != nil {
		return err
	}
	ours, theirs := []lfsLock{}, []lfsLock{}
	for _, l := range list {
		if l.Owner.ID == c.principal.ID {
			ours = append(ours, newLFSLock(l))
		} else {
			theirs = append(theirs, newLFSLock(l))
		}
	}
	writeLFS(w, http.StatusOK, map[string]any{"ours": ours, "theirs": theirs, "next_cursor": next})
	return nil
}

func (s *Server) lfsUnlock(w http.ResponseWriter, r *http.Request, a address, id string) error {
	c, err := s.lfsAdmit(r, a, receivePack)
	if err != nil {
		return err
	}
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return slipway.NotFound("there is no lock %q", id)
	}
	var body struct {
		Force bool `json:"force"`
	}
	if err := readLFS(w, r, &body, "the request unlocks nothing"); err != nil {
		return err
	}
	force := body.Force && s.identity.Authorize(r.Context(), c.principal, identity.Administer, c.project.ID) == nil
	l, err := s.repos.UnlockFile(r.Context(), c.principal.Actor, c.repository.ID, number, force)
	if err != nil {
		return err
	}
	writeLFS(w, http.StatusOK, map[string]any{"lock": newLFSLock(l)})
	return nil
}
