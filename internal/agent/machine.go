package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"slipway"
	"slipway/internal/pipelines/job"
)

// MachineConfig is an agent that does one job after the other on a machine.
type MachineConfig struct {
	URL string // of the server, without a slash at its end
	// Folder is the agent's own: its credentials, and below _work the folders of jobs.
	Folder string
	// Registration is what to register with when the folder has no credentials; its Version and known capabilities are filled in.
	Registration job.MachineRegistration
	// Token is the registration token, needed as long as there are no credentials.
	Token string
	// Engine is the program that runs containers, docker or podman; empty is the first of them that answers.
	Engine string
	// Once ends the agent after one job.
	Once bool
	// Program is the agent's own program, which runs each job as `PROGRAM work`.
	Program string
	Logger  *slog.Logger
}

// credentials are kept in a file that the agent's user alone reads.
type credentials struct {
	URL string `json:"url"`
	job.MachineCredentials
}

const (
	credentialsFile = "credentials.json"
	// heartbeat is how often an agent that does a job says that it is there.
	heartbeat = 20 * time.Second
)

// machineAgent is a registered agent.
type machineAgent struct {
	MachineConfig
	own    credentials
	client *client
}

// RunMachine registers the machine unless it is registered, and does jobs until ctx ends, which ends the job that runs. The server
// may be away for any time. An error says why the agent cannot go on: its machine was removed, or the server is of another version.
func RunMachine(ctx context.Context, c MachineConfig) error {
	m := &machineAgent{MachineConfig: c}
	if err := m.checkRegistration(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.Folder, "_work"), 0o755); err != nil {
		return fmt.Errorf("make the folder of the agent: %w", err)
	}
	unlock, err := lockFolder(c.Folder)
	if err != nil {
		return err
	}
	defer unlock()
	m.Registration.Version = job.Version
	m.Registration.Capabilities = withCapabilities(c.Registration.Capabilities, c.Registration.Name)
	if err := m.signIn(ctx); err != nil {
		return err
	}
	m.client = newClientAt(Config{URL: m.own.URL, Token: m.own.Token}, fmt.Sprintf("/_slipway/machines/%d", m.own.Machine))
	if err := BecomeSubreaper(); err != nil {
		return err
	}
	if err := EndLeft(m.work()); err != nil { // by an agent that was killed
		return err
	}
	c.Logger.Info("waits for jobs", "machine", m.own.Name, "of", m.own.Target, "server", m.own.URL)
	defer m.leave(ctx)
	capabilities := m.Registration.Capabilities
	for ctx.Err() == nil {
		given, err := m.ask(ctx, capabilities)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case given.Job == 0:
			capabilities = nil // they are known now
			continue
		}
		capabilities = nil
		m.do(ctx, given)
		if c.Once {
			return nil
		}
	}
	return nil
}

func (m *machineAgent) work() string { return filepath.Join(m.Folder, "_work") }

// checkRegistration says what is missing before anything is made on the disk.
func (m *machineAgent) checkRegistration() error {
	if m.Token != "" && m.URL != "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(m.Folder, credentialsFile)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("this machine is not registered: give --server and --token-file with a registration token, or --folder of an agent that is registered (%s has no %s)", m.Folder, credentialsFile)
	}
	return nil
}

// signIn reads the credentials, or registers and writes them.
func (m *machineAgent) signIn(ctx context.Context) error {
	path := filepath.Join(m.Folder, credentialsFile)
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &m.own); err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if m.URL != "" {
			m.own.URL = m.URL // it may have moved
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the credentials: %w", err)
	}
	registering := newClientAt(Config{URL: m.URL, Token: m.Token, Patience: time.Minute}, "/_slipway/machines")
	m.own.URL = m.URL
	if err := registering.call(ctx, "POST", "", m.Registration, &m.own.MachineCredentials); err != nil {
		return fmt.Errorf("register the machine: %w", err)
	}
	if text, err = json.MarshalIndent(m.own, "", "  "); err != nil {
		return fmt.Errorf("encode the credentials: %w", err)
	}
	if err := writeWhole(path, append(text, '\n')); err != nil {
		return fmt.Errorf("keep the credentials: %w", err)
	}
	return nil
}

// writeWhole writes a file that its owner alone reads, whole or not at all.
func writeWhole(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// ask waits at the server for a job, for a while; a server that is away is waited for.
func (m *machineAgent) ask(ctx context.Context, capabilities map[string]string) (given job.MachineJob, err error) {
	wait := 100 * time.Millisecond
	for {
		given = job.MachineJob{}
		err := m.client.call(ctx, "POST", "/job?seconds=25", job.MachineAsk{Version: job.Version, Capabilities: capabilities}, &given)
		var temporary errTemporary
		switch {
		case err == nil:
			return given, nil
		case slipway.CodeOf(err) == slipway.CodeUnauthenticated, slipway.CodeOf(err) == slipway.CodeNotFound:
			return given, fmt.Errorf("this machine was removed: delete %s and register it again with a new registration token: %w", filepath.Join(m.Folder, credentialsFile), err)
		case !errors.As(err, &temporary):
			return given, fmt.Errorf("ask for a job: %w", err)
		}
		if !pause(ctx, wait) {
			return given, nil
		}
		wait = min(wait*2, 10*time.Second)
	}
}

// do runs a job to its end, in a process of its own that takes everything that it starts with it.
func (m *machineAgent) do(ctx context.Context, given job.MachineJob) {
	m.Logger.Info("does a job", "job", given.Job)
	beating, stop := context.WithCancel(ctx)
	beats := make(chan struct{})
	go func() { defer close(beats); m.beat(beating) }()
	err := m.runJob(ctx, given)
	stop()
	<-beats
	if err != nil {
		m.Logger.Error("a job went wrong", "job", given.Job, "error", err)
	}
	if err := EndAllLeft(m.work()); err != nil {
		m.Logger.Error("what a job left behind cannot be ended", "job", given.Job, "error", err)
	}
	m.Logger.Info("is idle", "job", given.Job)
}

// runJob runs the job here or in its container.
func (m *machineAgent) runJob(ctx context.Context, given job.MachineJob) error {
	if given.Container != nil || len(given.Services) > 0 || len(given.Targets) > 0 {
		return m.runContained(ctx, given)
	}
	return m.worker(ctx, given, nil)
}

// worker runs the job as a process of this machine.
func (m *machineAgent) worker(ctx context.Context, given job.MachineJob, published []job.ServicePort) error {
	cmd := exec.Command(m.Program, "work")
	cmd.Dir = m.work()
	cmd.Env = os.Environ()
	for name, value := range m.environment(given, published) {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return runUntil(ctx, cmd)
}

// environment tells a job's agent what to do.
func (m *machineAgent) environment(given job.MachineJob, published []job.ServicePort) map[string]string {
	return map[string]string{"SLIPWAY_URL": m.own.URL, "SLIPWAY_JOB": given.Job.String(), "SLIPWAY_JOB_TOKEN": given.Token, "SLIPWAY_WORKSPACE": m.work(),
		"SLIPWAY_MACHINE": fmt.Sprint(m.own.Machine), "SLIPWAY_MACHINE_NAME": m.own.Name,
		"SLIPWAY_PUBLISHED_PORTS": job.FormatPorts(published)}
}

// fail ends a job that cannot begin here.
func (m *machineAgent) fail(ctx context.Context, given job.MachineJob, reason error) error {
	c := newClient(Config{URL: m.own.URL, Job: given.Job, Token: given.Token, Patience: 15 * time.Minute})
	if _, err := c.start(ctx); err != nil {
		return fmt.Errorf("take job %d: %w", given.Job, err)
	}
	if err := c.complete(ctx, job.Completion{Result: "Failed", Reason: reason.Error()}); err != nil {
		return fmt.Errorf("report the end of job %d: %w", given.Job, err)
	}
	return nil
}

// leave says that the agent ends, so that no job is given to it any more.
func (m *machineAgent) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := m.client.call(ctx, "POST", "/heartbeat", job.MachineAsk{Version: job.Version, Leaving: true}, nil); err != nil {
		m.Logger.Warn("the server does not hear that this agent ends", "error", err) // it sees so in a minute
	}
}

// beat says again and again that the agent is there.
func (m *machineAgent) beat(ctx context.Context) {
	for pause(ctx, heartbeat) {
		err := m.client.call(ctx, "POST", "/heartbeat", job.MachineAsk{Version: job.Version}, nil)
		if err != nil && ctx.Err() == nil {
			m.Logger.Warn("the server does not hear of this machine", "error", err) // the job goes on
		}
	}
}

// programs are what a machine reports as capabilities when it has them.
var programs = []string{"ant", "az", "bash", "bun", "cargo", "clang", "cmake", "curl", "deno", "docker", "dotnet", "gcc", "git", "git-lfs", "go", "gradle", "helm", "java", "jq",
	"kubectl", "make", "mvn", "node", "npm", "perl", "php", "pip", "pnpm", "podman", "psql", "pwsh", "python", "python3", "rsync", "ruby", "rustc", "ssh", "systemctl", "tar",
	"terraform", "unzip", "yarn", "zip"}

// withCapabilities are what the machine has by itself, and what its owner says of it.
func withCapabilities(own map[string]string, name string) map[string]string {
	all := map[string]string{"Agent.Name": name, "Agent.ComputerName": hostName(), "Agent.OS": "Linux", "Agent.Version": fmt.Sprintf("%d.0.0", job.Version),
		"Agent.OSArchitecture": map[string]string{"amd64": "X64", "arm64": "ARM64", "arm": "ARM", "386": "X86"}[runtime.GOARCH]}
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			all[program] = path
		}
	}
	for name, value := range own {
		all[name] = value
	}
	return all
}
