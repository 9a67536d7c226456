package agent

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"slipway/internal/pipelines/job"
	"slipway/internal/pipelines/plan"
)

// target is another container of the job, in which steps run. It shares the agent's folder, at the same path, and its own agent
// (ServeTarget) starts programs there, whose files are those of this process: their outputs are read here.
type target struct {
	name, socket string

	mu       sync.Mutex
	ready    bool
	env      []string // of the container
	programs string   // the folder of the agent there
}

// targetPatience is how long a target may take to answer first, from the first step in it.
const targetPatience = time.Minute

// maxTargetRequest bounds what a target is asked, in bytes.
const maxTargetRequest = 32 << 20

// targetRequest is what a target is asked to do: hello, look, stat or start. Files of what is started come with it.
type targetRequest struct {
	Do       string   `json:"do"`
	Name     string   `json:"name,omitempty"`
	Folders  []string `json:"folders,omitempty"`
	Args     []string `json:"args,omitempty"`
	Dir      string   `json:"dir,omitempty"`
	Env      []string `json:"env,omitempty"`
	Terminal bool     `json:"terminal,omitempty"`
	// Owner is who the program runs as, if the target may choose.
	Owner *owner `json:"owner,omitempty"`
}

// owner is a user with a group.
type owner struct {
	UID uint32 `json:"uid"`
	GID uint32 `json:"gid"`
}

// targetReply answers; that of start comes twice, when the program has begun and when it has ended.
type targetReply struct {
	Error    string   `json:"error,omitempty"`
	Path     string   `json:"path,omitempty"`
	Folder   bool     `json:"folder,omitempty"`
	Env      []string `json:"env,omitempty"`
	Programs string   `json:"programs,omitempty"`
	Code     int      `json:"code,omitempty"`
	Signal   int      `json:"signal,omitempty"`
}

// targetOf is the container that a step runs in, nil for the job's own. What fetches and stores files works on the folder that all
// of them share, so it needs no other container.
func (r *runner) targetOf(st *plan.Step) *target {
	if st.Target == nil || st.Target.Container == "" || st.Kind == plan.StepCheckout || st.Kind == plan.StepPublish || st.Kind == plan.StepDownload || st.Kind == plan.StepPackage || st.Kind == plan.StepReview {
		return nil
	}
	return r.targetNamed(st.Target.Container)
}

func (r *runner) targetNamed(container string) *target {
	name := strings.ToLower(container)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.targets[name] == nil {
		r.targets[name] = &target{name: container, socket: job.TargetSocket(r.config.Folder, name)}
	}
	return r.targets[name]
}

// greet waits until the target answers, once.
func (g *target) greet(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, targetPatience)
	defer cancel()
	for {
		reply, err := g.ask(targetRequest{Do: "hello"})
		if err == nil {
			g.env, g.programs, g.ready = reply.Env, reply.Programs, true
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return fmt.Errorf("the container %s, which is the step's target, does not answer: %w", g.name, err)
		}
	}
}

// ask sends a request that has one answer.
func (g *target) ask(request targetRequest) (targetReply, error) {
	conn, replies, err := g.send(request)
	if err != nil {
		return targetReply{}, err
	}
	defer conn.Close()
	var reply targetReply
	if err := replies.Decode(&reply); err != nil {
		return reply, fmt.Errorf("container %s: %w", g.name, err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// send opens a connection with a request on it, and files.
func (g *target) send(request targetRequest, files ...*os.File) (*net.UnixConn, *json.Decoder, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: g.socket, Net: "unix"})
	if err != nil {
		return nil, nil, fmt.Errorf("container %s: %w", g.name, err)
	}
	body, err := json.Marshal(request)
	if err == nil && len(body) > maxTargetRequest {
		err = fmt.Errorf("the environment and arguments of %s have more than %d MiB", request.Name, maxTargetRequest>>20)
	}
	var numbers []int
	for _, f := range files {
		numbers = append(numbers, int(f.Fd()))
	}
	var rights []byte
	if len(numbers) > 0 {
		rights = syscall.UnixRights(numbers...)
	}
	if err == nil {
		_, _, err = conn.WriteMsgUnix(binary.BigEndian.AppendUint32(nil, uint32(len(body))), rights, nil)
	}
	if err == nil {
		_, err = conn.Write(body)
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("container %s: %w", g.name, err)
	}
	return conn, json.NewDecoder(conn), nil
}

// elsewhere is a program that runs in a target.
type elsewhere struct {
	name    string
	conn    *net.UnixConn
	replies *json.Decoder
}

// start starts a program in the target. Its files belong to the caller as before.
func (g *target) start(p invocation) (running, error) {
	conn, replies, err := g.send(targetRequest{Do: "start", Name: p.path, Args: p.args, Dir: p.dir, Env: p.env, Terminal: p.terminal, Owner: p.owner}, p.stdin, p.stdout, p.stderr)
	if err != nil {
		return nil, err
	}
	var reply targetReply
	if err = replies.Decode(&reply); err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &elsewhere{filepath.Base(p.path), conn, replies}, nil
}

func (e *elsewhere) signal(s syscall.Signal) { _, _ = e.conn.Write([]byte{byte(s)}) }

func (e *elsewhere) wait() error {
	var reply targetReply
	if err := e.replies.Decode(&reply); err != nil {
		return fmt.Errorf("the container in which %s ran has ended: %w", e.name, err)
	}
	return endError(e.name, reply.Code, syscall.Signal(reply.Signal))
}

func (e *elsewhere) close() { e.conn.Close() }

// machine is the environment of the container that the step runs in.
func (t *task) machine() []string {
	if t.target != nil {
		return t.target.env
	}
	return os.Environ()
}

// getenv is a variable of the step's environment.
func (t *task) getenv(name string) string {
	if value, ok := t.env[name]; ok {
		return value
	}
	return valueOf(t.machine(), name)
}

// valueOf is a variable of an environment, "" without it.
func valueOf(env []string, name string) string {
	for _, pair := range env {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			return value
		}
	}
	return ""
}

// find looks for a program in folders of the container that the step runs in.
func (t *task) find(name string, folders []string) (string, bool) {
	if t.target == nil {
		return findProgram(name, folders)
	}
	reply, err := t.target.ask(targetRequest{Do: "look", Name: name, Folders: folders})
	return reply.Path, err == nil && reply.Path != ""
}

// isFolder reports whether a path is a folder in the container that the step runs in.
func (t *task) isFolder(path string) bool {
	if t.target == nil {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	}
	reply, err := t.target.ask(targetRequest{Do: "stat", Name: path})
	return err == nil && reply.Folder
}

// isFile reports whether a path is there, and no folder, in the container that the step runs in.
func (t *task) isFile(path string) bool {
	if t.target == nil {
		info, err := os.Stat(path)
		return err == nil && !info.IsDir()
	}
	reply, err := t.target.ask(targetRequest{Do: "stat", Name: path})
	return err == nil && reply.Path != "" && !reply.Folder
}

// findProgram looks for a program in folders.
func findProgram(name string, folders []string) (string, bool) {
	for _, folder := range folders {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return path, true
		}
	}
	return "", false
}

// ServeTarget starts programs in this container for the agent of the job, which asks at a socket in the folder that both share,
// until ctx ends. Programs that are asked for by name are found on the folder of this program too.
func ServeTarget(ctx context.Context, folder, name string) error {
	socket := job.TargetSocket(folder, name)
	if err := os.MkdirAll(filepath.Dir(socket), 0o777); err != nil {
		return fmt.Errorf("make the folder of the target's socket: %w", err)
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the socket of a target that ended: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return fmt.Errorf("listen for the job's agent: %w", err)
	}
	// The agent may be another user in its container. Whoever reaches the folder is a step of this job.
	if err := os.Chmod(socket, 0o666); err != nil {
		return fmt.Errorf("listen for the job's agent: %w", err)
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept the job's agent: %w", err)
		}
		all.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			serveRequest(conn)
		})
	}
}

// serveRequest does what one connection asks for. An agent that is gone needs no answer.
func serveRequest(conn *net.UnixConn) {
	request, files, err := readRequest(conn)
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	replies := json.NewEncoder(conn)
	if err != nil {
		_ = replies.Encode(targetReply{Error: err.Error()})
		return
	}
	var reply targetReply
	switch request.Do {
	case "hello":
		reply.Env = os.Environ()
		if own, err := os.Executable(); err == nil {
			reply.Programs = filepath.Dir(own)
		}
	case "look":
		reply.Path, _ = findProgram(request.Name, request.Folders)
	case "stat":
		if info, err := os.Stat(request.Name); err == nil {
			reply.Path, reply.Folder = request.Name, info.IsDir()
		}
	case "start":
		startFor(conn, replies, request, files)
		return
	default:
		reply.Error = fmt.Sprintf("the target does not know %q: use the agent image of the server's release", request.Do)
	}
	_ = replies.Encode(reply)
}

// readRequest reads a request with its files, which are the caller's to close.
func readRequest(conn *net.UnixConn) (request targetRequest, files []*os.File, err error) {
	head, rights := make([]byte, 4), make([]byte, syscall.CmsgSpace(4*4))
	n, rightsLength, _, _, err := conn.ReadMsgUnix(head, rights)
	if err != nil {
		return request, nil, err
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:rightsLength])
	for i := range messages {
		numbers, rightsErr := syscall.ParseUnixRights(&messages[i])
		err = cmp.Or(err, rightsErr)
		for _, number := range numbers {
			files = append(files, os.NewFile(uintptr(number), "file of a step"))
		}
	}
	if err != nil {
		return request, files, fmt.Errorf("read the files of a request: %w", err)
	}
	if _, err := io.ReadFull(conn, head[n:]); err != nil {
		return request, files, fmt.Errorf("read a request: %w", err)
	}
	size := binary.BigEndian.Uint32(head)
	if size > maxTargetRequest {
		return request, files, fmt.Errorf("a request has %d bytes, more than %d", size, maxTargetRequest)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(conn, body); err != nil {
		return request, files, fmt.Errorf("read a request: %w", err)
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return request, files, fmt.Errorf("read a request: %w", err)
	}
	return request, files, nil
}

// startFor runs a program until it ends. The agent sends signals for its process group, a byte each, and what it leaves when it goes
// before the end of the program is killed.
func startFor(conn *net.UnixConn, replies *json.Encoder, request targetRequest, files []*os.File) {
	if len(files) != 3 {
		_ = replies.Encode(targetReply{Error: "a program was to be started without its three files"})
		return
	}
	started, err := startHere(invocation{path: request.Name, args: request.Args, dir: request.Dir, env: request.Env, terminal: request.Terminal, owner: request.Owner,
		stdin: files[0], stdout: files[1], stderr: files[2]})
	for _, f := range files {
		f.Close()
	}
	if err != nil {
		_ = replies.Encode(targetReply{Error: err.Error()})
		return
	}
	_ = replies.Encode(targetReply{})
	gone, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		one := make([]byte, 1)
		for {
			if n, err := conn.Read(one); err != nil || n == 0 {
				break
			}
			started.signal(syscall.Signal(one[0]))
		}
		select {
		case <-ended:
		default:
			started.signal(syscall.SIGKILL)
		}
	}()
	code, signal := started.end()
	close(ended)
	_ = replies.Encode(targetReply{Code: code, Signal: int(signal)})
	<-gone
}
