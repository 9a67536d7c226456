package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func registryLockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "lock REPOSITORY:TAG | REPOSITORY@DIGEST | REPOSITORY", Short: "forbid that a tag, an image or all of a repository is deleted, changed or pulled", Args: cobra.ExactArgs(1),
		Long: `Lock a tag, an image by its digest, or a repository with all that is in it. Without --forbid it is neither changed nor deleted. A lock holds against
everybody, retention rules too, until "slipway registry unlock".`}
	f := addRegistryFlags(cmd)
	forbid := cmd.Flags().StringSlice("forbid", []string{"write"}, "delete; write, which forbids deletion too; read; or several of them")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return setLock(cmd, f, args[0], *forbid)
	}
	return cmd
}

func registryUnlockCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "unlock REPOSITORY:TAG | REPOSITORY@DIGEST | REPOSITORY", Short: "end a lock", Args: cobra.ExactArgs(1)}
	f := addRegistryFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return setLock(cmd, f, args[0], []string{})
	}
	return cmd
}

func setLock(cmd *cobra.Command, f registryFlags, name string, forbidden []string) error {
	a, err := readAccess(*f.data)
	if err != nil {
		return err
	}
	repository, reference := splitImage(name)
	var set api.RegistryLock
	if err := a.call(cmd.Context(), http.MethodPut, f.path("locks", "repository", repository, "reference", reference), api.RegistryLock{Forbidden: forbidden}, &set); err != nil {
		return err
	}
	if len(set.Forbidden) == 0 {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is not locked\n", name)
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is locked against: %s\n", name, strings.Join(set.Forbidden, ", "))
	return err
}

// splitImage takes the name of an image apart into its repository and the tag or digest, which may be empty.
func splitImage(name string) (repository, reference string) {
	if repository, digest, ok := strings.Cut(name, "@"); ok {
		return repository, digest
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i+1:]
	}
	return name, ""
}
