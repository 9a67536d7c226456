package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"slipway/internal/api"
)

func resumeCommand() *cobra.Command {
	return validationCommand("resume", "resumed", "resume a run that waits at a manual validation, or list those that wait")
}

func rejectCommand() *cobra.Command {
	return validationCommand("reject", "rejected", "reject a run that waits at a manual validation, or list those that wait")
}

func validationCommand(name, status, short string) *cobra.Command {
	cmd := &cobra.Command{Use: name + " [RUN]", GroupID: "runs", Short: short, Args: cobra.MaximumNArgs(1)}
	data, project := dataFlag(cmd), projectFlag(cmd)
	comment := cmd.Flags().String("comment", "", "what to say with the decision")
	number := cmd.Flags().Int64("validation", 0, "number of the validation, if several of the run wait")
	cmd.RunE = atServer(data, func(cmd *cobra.Command, args []string, a access) error {
		path := "/" + url.PathEscape(*project) + "/_apis/slipway/validations"
		var pending listOf[api.Validation]
		if err := a.call(cmd.Context(), http.MethodGet, path, nil, &pending); err != nil {
			return err
		}
		if len(args) == 0 {
			return listValidations(pending.Value)
		}
		run, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return fmt.Errorf("run %q: write its number, as `slipway %s` lists it", args[0], name)
		}
		chosen, err := chooseValidation(pending.Value, run, *number)
		if err != nil {
			return err
		}
		var decided api.Validation
		body := map[string]string{"status": status, "comment": *comment}
		if err := a.call(cmd.Context(), http.MethodPatch, fmt.Sprintf("%s/%d", path, chosen.ID), body, &decided); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "run %d, %s: %s\n", decided.Run, decided.Title, decided.Status)
		return nil
	})
	return cmd
}

func listValidations(pending []api.Validation) error {
	if len(pending) == 0 {
		fmt.Println("no run waits at a manual validation")
		return nil
	}
	rows := [][]string{{"RUN", "VALIDATION", "TITLE", "UNTIL", "THEN"}}
	for _, v := range pending {
		until := ""
		if v.ExpiresOn != nil {
			until = v.ExpiresOn.Local().Format(time.DateTime)
		}
		rows = append(rows, []string{fmt.Sprint(v.Run), fmt.Sprint(v.ID), v.Title, until, v.OnTimeout})
	}
	return table(rows)
}

// chooseValidation is the one of the run that waits, or of those the one with the number.
func chooseValidation(pending []api.Validation, run, number int64) (api.Validation, error) {
	var found []api.Validation
	for _, v := range pending {
		if v.Run == run && (number == 0 || v.ID == number) {
			found = append(found, v)
		}
	}
	switch len(found) {
	case 0:
		return api.Validation{}, fmt.Errorf("run %d waits at no such manual validation", run)
	case 1:
		return found[0], nil
	}
	return api.Validation{}, fmt.Errorf("run %d waits at %d manual validations: say which with --validation", run, len(found))
}
