package languageserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"slipway/internal/pipelines/task"
)

// Delay is how long the server waits after a change before it checks the files.
const Delay = 200 * time.Millisecond

// maxDocuments bounds the files that are open at once.
const maxDocuments = 1000

// Server serves one editor.
type Server struct {
	// Tasks are those that files may use besides the built-in ones; they are set before Serve.
	Tasks task.Catalog

	logger *slog.Logger
	delay  time.Duration
	dirty  chan struct{} // holds one word when something has changed

	mu        sync.Mutex
	documents map[string]*document // by URI, as the editor spells it
	finished  bool                 // the editor has asked to shut down
	exited    bool

	files *files
	// published are the URIs that show diagnostics; only watch uses it.
	published map[string]bool
}

// New makes a server; delay is how long it waits after a change before it checks, normally Delay.
func New(logger *slog.Logger, delay time.Duration) *Server {
	return &Server{logger: logger, delay: delay, dirty: make(chan struct{}, 1), documents: map[string]*document{}, files: newFiles(), published: map[string]bool{}}
}

// ErrNoShutdown says that the editor ended the server without asking it to shut down first, for which the specification
// wants the exit code 1.
var ErrNoShutdown = errors.New("the editor left without the request shutdown")

// Serve speaks with the editor until it leaves or ctx ends.
func (s *Server) Serve(ctx context.Context, stream io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn := jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(stream, jsonrpc2.VSCodeObjectCodec{}), jsonrpc2.HandlerWithError(s.handle), jsonrpc2.SetLogger(printer{s.logger}))
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, conn) })
	select {
	case <-conn.DisconnectNotify():
	case <-ctx.Done():
		_ = conn.Close()
	}
	cancel()
	watching.Wait()
	s.files.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.finished && s.exited {
		return ErrNoShutdown
	}
	return nil
}

// printer gives the library's messages to the log.
type printer struct{ logger *slog.Logger }

// Printf implements jsonrpc2.Logger.
func (p printer) Printf(format string, args ...any) {
	p.logger.Warn(strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// handle answers one message; they come one after the other.
func (s *Server) handle(_ context.Context, conn *jsonrpc2.Conn, req *jsonrpc2.Request) (any, error) {
	switch req.Method {
	case "initialize":
		return initializeResult{ServerInfo: serverInfo{"slipway"}, Capabilities: capabilities{
			TextDocumentSync:   syncOptions{OpenClose: true, Change: 2, Save: true},
			CompletionProvider: completionProvider{TriggerCharacters: []string{".", "(", "'", "@", "/", "-", " "}},
			HoverProvider:      true, DefinitionProvider: true, SymbolProvider: true, ActionProvider: actionOptions{[]string{"quickfix"}},
		}}, nil
	case "initialized", "textDocument/didSave", "workspace/didChangeConfiguration", "workspace/didChangeWatchedFiles":
		s.changed()
		return nil, nil
	case "shutdown":
		s.mu.Lock()
		s.finished = true
		s.mu.Unlock()
		return nil, nil
	case "exit":
		s.mu.Lock()
		s.exited = true
		s.mu.Unlock()
		return nil, conn.Close()
	case "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose":
		return nil, s.synchronise(req)
	case "textDocument/completion":
		return at(s, req, s.complete)
	case "textDocument/hover":
		return at(s, req, s.hover)
	case "textDocument/definition":
		return at(s, req, s.definition)
	case "textDocument/codeAction":
		p, err := read[codeActionParams](req.Params)
		if err != nil {
			return nil, invalid(err)
		}
		if d := s.document(p.TextDocument.URI); d != nil {
			return d.actions(p.Context.Diagnostics), nil
		}
		return nil, nil
	case "textDocument/documentSymbol":
		p, err := read[documentParams](req.Params)
		if err != nil {
			return nil, invalid(err)
		}
		if d := s.document(p.TextDocument.URI); d != nil {
			return d.symbols(), nil
		}
		return nil, nil
	}
	if req.Notif {
		return nil, nil // notifications that are not known are passed over, as the specification says
	}
	return nil, &jsonrpc2.Error{Code: jsonrpc2.CodeMethodNotFound, Message: "there is no method " + req.Method}
}

func invalid(err error) error {
	return &jsonrpc2.Error{Code: jsonrpc2.CodeInvalidParams, Message: err.Error()}
}

// at answers a request about a position in an open file; there is no answer about others.
func at[T any](s *Server, req *jsonrpc2.Request, answer func(d *document, line, at int) T) (any, error) {
	p, err := read[positionParams](req.Params)
	if err != nil {
		return nil, invalid(err)
	}
	d := s.document(p.TextDocument.URI)
	if d == nil || p.Position.Line < 0 || p.Position.Line >= len(d.lines) {
		return nil, nil
	}
	return answer(d, p.Position.Line, bytesOf(d.line(p.Position.Line), p.Position.Character)), nil
}

func (s *Server) document(uri string) *document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.documents[uri]
}

func (s *Server) snapshot() map[string]*document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.documents)
}

// synchronise takes the text of a file from the editor.
func (s *Server) synchronise(req *jsonrpc2.Request) error {
	p, err := read[didChangeParams](req.Params)
	if err != nil {
		return invalid(err)
	}
	uri := p.TextDocument.URI
	s.mu.Lock()
	defer s.mu.Unlock()
	switch d := s.documents[uri]; {
	case req.Method == "textDocument/didOpen":
		if len(s.documents) < maxDocuments {
			s.documents[uri] = newDocument(uri, p.TextDocument.Version, p.TextDocument.Text)
		}
	case req.Method == "textDocument/didClose":
		delete(s.documents, uri)
	case d != nil:
		s.documents[uri] = d.changed(p.TextDocument.Version, p.ContentChanges)
	}
	s.changed()
	return nil
}

// changed has the files checked a moment later.
func (s *Server) changed() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// watch checks the files whenever they have changed and then rest for the delay.
func (s *Server) watch(ctx context.Context, conn *jsonrpc2.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
		}
		timer := time.NewTimer(s.delay)
		for resting := false; !resting; {
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-s.dirty:
				timer.Reset(s.delay)
			case <-timer.C:
				resting = true
			}
		}
		for _, p := range s.diagnose() {
			if err := conn.Notify(ctx, "textDocument/publishDiagnostics", p); err != nil {
				if ctx.Err() == nil && !errors.Is(err, jsonrpc2.ErrClosed) {
					s.logger.Warn("publish diagnostics", "error", err)
				}
				return
			}
		}
	}
}
