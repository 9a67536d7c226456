// Command slipway-builder builds container images: BuildKit in one static program, for one
// machine's node or as a pod of a cluster. See node/builder/README.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"slipway/node/builder"

	"github.com/sirupsen/logrus"
)

const usage = "usage: slipway-builder run --config FILE"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "slipway-builder:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 0 || args[0] != "run" {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	file := flags.String("config", "", "the configuration, a JSON file")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if *file == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	c, err := builder.LoadConfig(*file)
	if err != nil {
		return err
	}
	if err := setLog(c.LogLevel); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("building images needs root: start as root")
	}
	if c.NetNS != "" {
		if err := builder.EnterNetNS(c.NetNS); err != nil {
			return err
		}
	}
	setResolver(c.DNS)
	b, err := builder.Open(c)
	if err != nil {
		return err
	}
	err = b.Serve(ctx, func() {
		_ = json.NewEncoder(stdout).Encode(map[string]any{
			"ready": true, "pid": os.Getpid(), "socket": c.Socket, "buildkit": builder.Version(), "snapshotter": b.Snapshotter(),
		})
	})
	return errors.Join(err, b.Close())
}

// setLog sets up BuildKit's own logger, which is a global of its library. Its warnings are off by
// default: every build has some that mean nothing here (no trace recorder, no fsverity).
func setLog(level string) error {
	l := logrus.ErrorLevel
	if level != "" {
		var err error
		if l, err = logrus.ParseLevel(level); err != nil {
			return fmt.Errorf("logLevel: %w", err)
		}
	}
	logrus.SetLevel(l)
	logrus.SetOutput(os.Stderr)
	logrus.SetFormatter(&logrus.JSONFormatter{})
	return nil
}

// setResolver sends the program's own name look-ups to the configured servers: the host's
// /etc/resolv.conf may name one that cannot be reached from the network namespace.
func setResolver(servers []string) {
	if len(servers) == 0 {
		return
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		var errs []error
		for _, s := range servers {
			conn, err := d.DialContext(ctx, network, net.JoinHostPort(s, "53"))
			if err == nil {
				return conn, nil
			}
			errs = append(errs, err)
		}
		return nil, errors.Join(errs...)
	}}
}
