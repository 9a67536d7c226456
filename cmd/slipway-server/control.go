package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stopTime bounds how long `slipway down` waits for the server to stop everything.
const stopTime = 2 * time.Minute

func downCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "down", GroupID: "run", Short: "stop the server of this machine, its node and its builder", Args: cobra.NoArgs}
	config := defaults()
	cmd.Flags().StringVar(&config.Data, "data", config.Data, "data folder of the server")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), stopTime)
		defer cancel()
		stopped, err := stopServer(ctx, config.Data)
		if err != nil {
			return err
		}
		left, err := stopLeftovers(ctx, config.Data)
		if err != nil {
			return err
		}
		if !stopped && !left {
			fmt.Println("nothing is running with the data folder " + config.Data)
		}
		return nil
	}
	return cmd
}

// stopServer asks the server that holds the data folder's lock to stop, and waits for it.
func stopServer(ctx context.Context, data string) (bool, error) {
	path := filepath.Join(data, "lock")
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return false, nil // nobody holds it
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || pid <= 1 {
		return false, fmt.Errorf("%s does not name the server's process", path)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return false, fmt.Errorf("stop server %d: %w", pid, err)
	}
	fmt.Printf("stopping server %d\n", pid)
	for syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("server %d did not stop within %s", pid, stopTime)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return true, nil
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "status", GroupID: "run", Short: "say what runs and where to look", Args: cobra.NoArgs}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var s status
		if err := a.call(cmd.Context(), http.MethodGet, "/_apis/slipway/status", nil, &s); err != nil {
			return err
		}
		rows := [][]string{{"Pages", s.URL}, {"Applications", s.Applications}, {"Registry", s.Registry}, {"OTLP", s.OTLP}, {"Kubeconfig", s.Kubeconfig}, {"Version", s.Version}, {"Up for", s.Uptime}}
		for _, n := range s.Nodes {
			rows = append(rows, []string{"Node", n})
		}
		for _, p := range s.Programs {
			rows = append(rows, []string{"Program", p})
		}
		return table(slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" }))
	})
	return cmd
}

// status is the answer of GET /_apis/slipway/status.
type status struct {
	URL          string   `json:"url"`
	Applications string   `json:"applications,omitempty"` // where ingresses are reached
	Registry     string   `json:"registry"`
	OTLP         string   `json:"otlp,omitempty"`
	Kubeconfig   string   `json:"kubeconfig"`
	Version      string   `json:"version"`
	Uptime       string   `json:"uptime"`
	Nodes        []string `json:"nodes"`
	Programs     []string `json:"programs"`
}
