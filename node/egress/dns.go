package egress

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	dnsPort      = 53
	dnsTime      = 5 * time.Second // how long one name server may take
	dnsIdle      = 10 * time.Second
	dnsQueries   = 64 // of one client's port at once
	dnsHeader    = 12 // bytes; RFC 1035, 4.1.1
	maxResolvers = 3  // as resolv.conf(5) has it
)

// resolvers are the host's name servers. The file is read for each question: a laptop changes
// networks, and the file is a few lines.
func (e *Egress) resolvers() ([]netip.Addr, error) {
	f, err := os.Open(e.options.ResolvConf)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []netip.Addr
	for s := bufio.NewScanner(f); s.Scan() && len(out) < maxResolvers; {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no name server in " + e.options.ResolvConf)
	}
	return out, nil
}

// dialResolver connects to the first of the host's name servers that takes the connection. It
// may be on the host's loopback (systemd-resolved): the gateway is the one way there.
func (e *Egress) dialResolver(network string) (net.Conn, error) {
	servers, err := e.resolvers()
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, s := range servers {
		c, err := e.dial(e.ctx, network, address(s, dnsPort))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// serveDNS answers the questions that come from one port of a client until it is silent.
func (e *Egress) serveDNS(client net.Conn) {
	slots := make(chan struct{}, dnsQueries)
	var running sync.WaitGroup
	defer running.Wait()
	buf := make([]byte, 1<<16)
	for {
		_ = client.SetReadDeadline(time.Now().Add(dnsIdle)) // a closed connection shows in the read
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		if n < dnsHeader {
			continue
		}
		question := append([]byte(nil), buf[:n]...)
		select {
		case slots <- struct{}{}:
		default:
			continue // the client asks again
		}
		running.Go(func() {
			defer func() { <-slots }()
			_, _ = client.Write(e.resolve(question)) // the client may be gone
		})
	}
}

// resolve asks the host's name servers in turn, and answers "server failure" when none does.
func (e *Egress) resolve(question []byte) []byte {
	servers, err := e.resolvers()
	if err != nil {
		return serverFailure(question)
	}
	for _, s := range servers {
		if answer, err := e.exchange(s, question); err == nil {
			return answer
		}
	}
	return serverFailure(question)
}

// exchange asks one name server. A packet that is no answer to this question is passed over.
func (e *Egress) exchange(server netip.Addr, question []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(e.ctx, dnsTime)
	defer cancel()
	c, err := e.dial(ctx, "udp", address(server, dnsPort))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := c.Write(question); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= dnsHeader && buf[0] == question[0] && buf[1] == question[1] {
			return buf[:n], nil
		}
	}
}

// serverFailure is the question with the bits of an answer and response code 2 (RFC 1035, 4.1.1).
func serverFailure(question []byte) []byte {
	out := append([]byte(nil), question...)
	out[2] |= 0x80
	out[3] = out[3]&0xf0 | 2
	return out
}
