package gitserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"slipway"
	"slipway/internal/repos"
)

const (
	sshConnections = 200              // that are open at once
	sshSessions    = 10               // of one connection
	sshLogin       = 30 * time.Second // for who has not shown a key yet
)

// SSH serves git over SSH: one command a session, with the rights and by the way of a push over HTTP. There is no shell, no terminal
// and no forwarding.
type SSH struct {
	*Server
	config *ssh.ServerConfig
	places chan struct{}
}

// NewSSH makes a server that clients know by the host keys.
func NewSSH(s *Server, hostKeys []ssh.Signer) *SSH {
	o := &SSH{Server: s, places: make(chan struct{}, sshConnections)}
	o.config = &ssh.ServerConfig{MaxAuthTries: 6, ServerVersion: "SSH-2.0-Slipway", PublicKeyCallback: o.known,
		PublicKeyAuthAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}}
	for _, k := range hostKeys {
		o.config.AddHostKey(k)
	}
	return o
}

// known says whether a key is somebody's. Clients ask it of keys before they prove that they have them.
func (o *SSH) known(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sshLogin)
	defer cancel()
	if _, err := o.identity.AuthenticateSSHKey(ctx, key); err != nil {
		return nil, err
	}
	return &ssh.Permissions{Extensions: map[string]string{"key": string(key.Marshal())}}, nil
}

// Serve takes connections until ctx ends.
func (o *SSH) Serve(ctx context.Context, l net.Listener) error {
	var open sync.WaitGroup
	defer open.Wait()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("serve SSH on %s: %w", l.Addr(), err)
		}
		if err != nil { // of one connection, or too many files are open
			o.logger.Warn("accepting an SSH connection failed", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case o.places <- struct{}{}:
		default:
			c.Close()
			continue
		}
		open.Go(func() {
			defer func() { <-o.places }()
			o.connection(ctx, c)
		})
	}
}

// stalling is a connection that ends when nothing moves for a while.
type stalling struct {
	net.Conn
	stall time.Duration
}

func (s stalling) Read(b []byte) (int, error) {
	if err := s.SetReadDeadline(time.Now().Add(s.stall)); err != nil {
		return 0, err
	}
	return s.Conn.Read(b)
}

func (s stalling) Write(b []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(s.stall)); err != nil {
		return 0, err
	}
	return s.Conn.Write(b)
}

func (o *SSH) connection(ctx context.Context, c net.Conn) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	late := time.AfterFunc(sshLogin, func() { c.Close() })
	conn, channels, requests, err := ssh.NewServerConn(stalling{c, o.options.StallTime}, o.config)
	late.Stop()
	if err != nil {
		o.logger.Debug("an SSH client was not let in", "remote", c.RemoteAddr(), "error", err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	key, err := ssh.ParsePublicKey([]byte(conn.Permissions.Extensions["key"]))
	if err != nil {
		return
	}
	if err := o.identity.SSHKeyUsed(ctx, key); err != nil {
		o.logger.Warn("noting the use of an SSH key failed", "error", err)
	}
	go ssh.DiscardRequests(requests) // until the connection ends
	var sessions sync.WaitGroup
	defer sessions.Wait()
	defer cancel() // what still runs has nobody to talk to
	places := make(chan struct{}, sshSessions)
	for n := range channels {
		if n.ChannelType() != "session" {
			_ = n.Reject(ssh.Prohibited, "this server forwards nothing")
			continue
		}
		select {
		case places <- struct{}{}:
		default:
			_ = n.Reject(ssh.ResourceShortage, "too many sessions of one connection")
			continue
		}
		channel, requests, err := n.Accept()
		if err != nil {
			return
		}
		sessions.Go(func() {
			defer func() { <-places }()
			o.session(ctx, channel, requests, key)
		})
	}
}

// session waits for the one command of a session and runs it.
func (o *SSH) session(ctx context.Context, channel ssh.Channel, requests <-chan *ssh.Request, key ssh.PublicKey) {
	defer channel.Close()
	protocol := ""
	for r := range requests {
		switch r.Type {
		case "env":
			var env struct{ Name, Value string }
			ok := ssh.Unmarshal(r.Payload, &env) == nil && env.Name == "GIT_PROTOCOL"
			if ok {
				protocol = env.Value
			}
			_ = r.Reply(ok, nil)
		case "exec":
			var exec struct{ Command string }
			if ssh.Unmarshal(r.Payload, &exec) != nil {
				_ = r.Reply(false, nil)
				return
			}
			_ = r.Reply(true, nil)
			go ssh.DiscardRequests(requests) // until the channel is closed
			o.exit(channel, o.command(ctx, channel, key, exec.Command, protocol))
			return
		case "shell":
			_ = r.Reply(true, nil)
			o.exit(channel, slipway.Unsupported("your key is known, and there is no shell here: use git clone ssh://HOST:PORT/PROJECT/_git/REPOSITORY"))
			return
		default: // terminals, subsystems, agents and X11
			_ = r.Reply(false, nil)
		}
	}
}

// exit tells how a command ended, as RFC 4254, section 6.10 has it.
func (o *SSH) exit(channel ssh.Channel, err error) {
	status := struct{ Status uint32 }{}
	if err != nil {
		status.Status = 1
		text := "the server failed: try again\n"
		var p *slipway.Problem
		if errors.As(err, &p) && p.Code != slipway.CodeInternal {
			text = p.Message + "\n"
		} else {
			o.logger.Log(context.Background(), slog.LevelWarn, "git over SSH ended with an error", "error", err)
		}
		_, _ = io.WriteString(channel.Stderr(), text)
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(status))
}

// command runs one command of git's.
func (o *SSH) command(ctx context.Context, channel ssh.Channel, key ssh.PublicKey, line, protocol string) error {
	c, err := parseCommand(line)
	if err != nil {
		return err
	}
	p, err := o.identity.AuthenticateSSHKey(ctx, key) // again: the connection may be old
	if err != nil {
		return err
	}
	if c.service == lfsAuthenticate {
		answer, err := o.lfsAuthenticate(ctx, p, c.address, c.operation)
		if err != nil {
			return err
		}
		return json.NewEncoder(channel).Encode(answer)
	}
	caller, err := o.authorize(ctx, p, c.address, c.service)
	if err != nil {
		return err
	}
	free, err := o.wait(ctx)
	if err != nil {
		return err
	}
	defer free()
	t := repos.Transport{Stateful: true, Protocol: protocol, In: channel, Out: channel, MaxPack: o.options.MaxPack}
	if c.service == uploadArchive {
		return o.repos.UploadArchive(ctx, caller.repository.ID, t)
	}
	return o.run(ctx, caller, c.service, t)
}
