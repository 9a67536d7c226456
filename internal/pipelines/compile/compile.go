package compile

import "slipway/internal/pipelines/plan"

// Files reads files of one repository at the run's commit. Paths are relative to its root, with slashes, cleaned, and
// never lead out of it. An absent file is an error for which errors.Is(err, fs.ErrNotExist).
type Files interface {
	ReadFile(path string) ([]byte, error)
}

// Input is what a compilation depends on.
type Input struct {
	// Path of the root file, relative to the root of its repository.
	Path string
	// Files of the repository at the commit of the run.
	Files Files
	// Repository opens another repository that `resources.repositories` declares, at its ref. Nil refuses `@alias`.
	Repository func(plan.Repository) (Files, error)
	// Parameters are the values of run-time parameters, by name: string, bool, float64, []any, map[string]any as JSON
	// gives them, or strings, which are converted to the parameter's type.
	Parameters map[string]any
	// Variables are those known before the run exists, which `${{ variables.x }}` sees: predefined ones such as
	// Build.SourceBranch and Build.Reason, and those given when the run was queued.
	Variables map[string]string
}

// Compile makes the plan. Its error is a Problems when the file is at fault.
func Compile(in Input) (*plan.Plan, error) { return nil, nil }

// Expand is the file with all templates expanded, as YAML text that means the same without parameters.
func Expand(in Input) ([]byte, error) { return nil, nil }

// Triggers reads only the triggers of a file, so that a push can be judged without compiling it.
func Triggers(path string, data []byte) (plan.Triggers, error) { return plan.Triggers{}, nil }

// Parameters reads only the run-time parameters of a file, for a page that asks for their values.
func Parameters(path string, data []byte) ([]plan.Parameter, error) { return nil, nil }
