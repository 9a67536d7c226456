package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

const sshKeysPath = "/_apis/slipway/sshkeys"

func sshKeysCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ssh-keys", GroupID: "people", Short: "list, add or remove your public keys for git over SSH", Args: cobra.NoArgs,
		Example: `  slipway ssh-keys add ~/.ssh/id_ed25519.pub --name laptop
  slipway ssh-keys
  slipway ssh-keys remove SHA256:...`}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var keys listOf[api.SSHKey]
		if err := a.call(cmd.Context(), http.MethodGet, sshKeysPath, nil, &keys); err != nil {
			return err
		}
		if len(keys.Value) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "you have no keys")
			return nil
		}
		rows := [][]string{{"NAME", "KIND", "FINGERPRINT", "ADDED", "LAST USED"}}
		for _, k := range keys.Value {
			used := "never"
			if k.Used != nil {
				used = k.Used.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{k.Name, k.Algorithm, k.Fingerprint, k.Created.Local().Format(time.DateTime), used})
		}
		return tableTo(cmd.OutOrStdout(), rows)
	})
	cmd.AddCommand(sshKeysAddCommand(), sshKeysRemoveCommand())
	return cmd
}

// maxPublicKeyFile bounds the file of a public key, in bytes.
const maxPublicKeyFile = 64 << 10

func sshKeysAddCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "add FILE", Short: "add the key of a file that ends in .pub", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	name := cmd.Flags().String("name", "", "what you call it (default the key's comment)")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		f, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxPublicKeyFile))
		if err != nil {
			return err
		}
		var key api.SSHKey
		if err := a.call(cmd.Context(), http.MethodPost, sshKeysPath, api.NewSSHKey{Name: *name, Key: string(text)}, &key); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "added %s (%s)\n", key.Name, key.Fingerprint)
		return nil
	})
	return cmd
}

func sshKeysRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "remove FINGERPRINT", Short: "remove a key", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		if err := a.call(cmd.Context(), http.MethodDelete, sshKeysPath+"/"+url.PathEscape(args[0]), nil, nil); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "removed "+args[0])
		return nil
	})
	return cmd
}
