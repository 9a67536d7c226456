package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

const usersPath = "/_apis/slipway/users"

func userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", GroupID: "people", Short: "list, add, disable and enable those who may sign in, and reset their passwords",
		Long: `Manage the installation's users. What they may do in a project is given with "slipway member".

A password that is not given is generated and written once; the user is asked for one of their own when they sign in.`,
		Example: `  slipway user add ada --display-name "Ada Lovelace" --email ada@example.com
  slipway member set ada contributor --project shop
  slipway user password ada          # a new password, written once
  slipway user disable ada`}
	cmd.AddCommand(userListCommand(), userAddCommand(), userPasswordCommand(), userDisableCommand(), userEnableCommand(), userAdministratorCommand())
	return cmd
}

func userListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "list all users", Args: cobra.NoArgs}
	data := dataFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, _ []string, a access) error {
		var users listOf[api.User]
		if err := a.call(cmd.Context(), http.MethodGet, usersPath, nil, &users); err != nil {
			return err
		}
		rows := [][]string{{"NAME", "DISPLAY NAME", "EMAIL", "STATE"}}
		for _, u := range users.Value {
			rows = append(rows, []string{u.Name, u.DisplayName, u.Email, userState(u)})
		}
		return table(rows)
	})
	return cmd
}

func userState(u api.User) string {
	var words []string
	if u.Administrator {
		words = append(words, "administrator")
	}
	if u.Disabled {
		words = append(words, "disabled")
	}
	if u.MustChange {
		words = append(words, "must change password")
	}
	return strings.Join(words, ", ")
}

func userAddCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "add NAME", Short: "add a user; the password is generated and written once, or read with --password-stdin", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	var body api.NewUser
	cmd.Flags().StringVar(&body.DisplayName, "display-name", "", "how pages show them (default: the name)")
	cmd.Flags().StringVar(&body.Email, "email", "", "their address")
	cmd.Flags().BoolVar(&body.Administrator, "administrator", false, "make them an administrator of the whole installation")
	fromStdin := passwordFlag(cmd)
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		body.Name = args[0]
		var err error
		if body.Password, err = readPassword(*fromStdin); err != nil {
			return err
		}
		var u api.User
		if err := a.call(cmd.Context(), http.MethodPost, usersPath, body, &u); err != nil {
			return err
		}
		fmt.Printf("user %s is added\n", u.Name)
		showPassword(u)
		return nil
	})
	return cmd
}

func userPasswordCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "password NAME", Short: "give a user a new password and end their sessions", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	fromStdin := passwordFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		password, err := readPassword(*fromStdin)
		if err != nil {
			return err
		}
		u, err := changeUser(cmd, *data, args[0], api.UserChange{Password: &password})
		if err != nil {
			return err
		}
		fmt.Printf("user %s has a new password\n", u.Name)
		showPassword(u)
		return nil
	}
	return cmd
}

func userDisableCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "disable NAME", Short: "keep a user out: end their sessions and refuse their tokens", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		disabled := true
		u, err := changeUser(cmd, *data, args[0], api.UserChange{Disabled: &disabled})
		if err == nil {
			fmt.Printf("user %s is disabled\n", u.Name)
		}
		return err
	}
	return cmd
}

func userEnableCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "enable NAME", Short: "let a disabled user in again", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		disabled := false
		u, err := changeUser(cmd, *data, args[0], api.UserChange{Disabled: &disabled})
		if err == nil {
			fmt.Printf("user %s is enabled\n", u.Name)
		}
		return err
	}
	return cmd
}

func userAdministratorCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "administrator NAME", Short: "make a user an administrator of the whole installation, or --remove that", Args: cobra.ExactArgs(1)}
	data := dataFlag(cmd)
	remove := cmd.Flags().Bool("remove", false, "make them no administrator")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		administrator := !*remove
		u, err := changeUser(cmd, *data, args[0], api.UserChange{Administrator: &administrator})
		if err != nil {
			return err
		}
		if u.Administrator {
			fmt.Printf("user %s is an administrator of this installation\n", u.Name)
		} else {
			fmt.Printf("user %s is not an administrator of this installation\n", u.Name)
		}
		return nil
	}
	return cmd
}

func changeUser(cmd *cobra.Command, data, name string, change api.UserChange) (api.User, error) {
	a, err := readAccess(data)
	if err != nil {
		return api.User{}, err
	}
	var u api.User
	return u, a.call(cmd.Context(), http.MethodPatch, usersPath+"/"+url.PathEscape(name), change, &u)
}

func passwordFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("password-stdin", false, "read the password from the first line of standard input instead of generating it")
}

// readPassword reads the first line of standard input; without the flag the server generates one.
func readPassword(fromStdin bool) (string, error) {
	if !fromStdin {
		return "", nil
	}
	s := bufio.NewScanner(os.Stdin)
	if !s.Scan() || s.Text() == "" {
		return "", errors.Join(errors.New("there is no password on standard input"), s.Err())
	}
	return s.Text(), nil
}

func showPassword(u api.User) {
	if u.Password != "" {
		fmt.Println("password: " + u.Password)
		fmt.Println("It is shown this once.")
	}
}
