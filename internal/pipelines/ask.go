package pipelines

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"

	"slipway"
	"slipway/internal/pipelines/compile"
	"slipway/internal/pipelines/nearest"
	"slipway/internal/pipelines/plan"
	"slipway/internal/pipelines/variable"
)

// The fields of a QueueRequest that a slipway.Problem names as the input at fault. Those of one parameter or variable are
// followed by a dot and its name.
const (
	FieldRef        = "ref"
	FieldCommit     = "commit"
	FieldParameters = "parameters"
	FieldVariables  = "variables"
	FieldSkipStages = "skipStages"
)

// Bounds of what one request may set.
const (
	maxGiven     = 200 // variables, parameters or stages
	maxGivenText = 32 << 10
)

// Queue starts a run because a person asked for it. A broken file is an error here, with everything that is wrong.
func (s *Service) Queue(ctx context.Context, req QueueRequest) (Run, error) {
	d, _, err := s.asked(ctx, &req)
	if err != nil {
		return Run{}, err
	}
	run, err := s.queue(ctx, d, req)
	return run, whole(err, d.Path)
}

// Preview is the file of a pipeline with its templates expanded, as the run that the request asks for would have it. If yaml
// is not "", it stands for the file.
func (s *Service) Preview(ctx context.Context, req QueueRequest, yaml string) (string, error) {
	if len(yaml) > maxFile {
		return "", slipway.Limit("the file has %d bytes, more than %d", len(yaml), maxFile)
	}
	d, repo, err := s.asked(ctx, &req)
	if err != nil {
		return "", err
	}
	_, vars, err := s.prepare(ctx, &d, &repo, &req)
	if err != nil {
		return "", err
	}
	in := s.compileInput(ctx, &d, &repo, &req, vars)
	if yaml != "" {
		in.Files = replaced{Files: in.Files, path: d.Path, text: yaml}
	}
	p, err := compile.Compile(in)
	if err != nil {
		return "", whole(err, d.Path)
	}
	if err := s.checkNames(ctx, s.db, d.Project, d.ID, p, vars); err != nil {
		return "", whole(err, d.Path)
	}
	for _, name := range req.SkipStages {
		if _, err := skippable(p, name); err != nil {
			return "", err
		}
	}
	text, err := compile.Expand(in)
	return string(text), whole(err, d.Path)
}

// replaced is files with one of them replaced.
type replaced struct {
	compile.Files
	path, text string
	read       *bool // set when that file is read; may be nil
}

// ReadFile implements compile.Files.
func (r replaced) ReadFile(path string) ([]byte, error) {
	if path == r.path {
		if r.read != nil {
			*r.read = true
		}
		return []byte(r.text), nil
	}
	return r.Files.ReadFile(path)
}

// List implements compile.Lister.
func (r replaced) List(folder string) []string {
	if l, ok := r.Files.(compile.Lister); ok {
		return l.List(folder)
	}
	return nil
}

// Choices are what a person may choose for a run of a branch.
type Choices struct {
	Ref        string // full name
	Commit     slipway.CommitID
	Parameters []plan.Parameter
	Stages     []plan.Stage // those of a file without stages are left out
	// Problems say why parameters or stages cannot be told, or some of them.
	Problems []FileProblem
}

// Choices reads the file of a branch ("" is the default branch) as far as it can be read before its parameters are chosen.
func (s *Service) Choices(ctx context.Context, id slipway.PipelineID, ref string) (Choices, error) {
	req := QueueRequest{Pipeline: id, Ref: ref}
	d, repo, err := s.asked(ctx, &req)
	if err != nil {
		return Choices{}, err
	}
	_, vars, err := s.prepare(ctx, &d, &repo, &req)
	if err != nil {
		return Choices{}, err
	}
	c := Choices{Ref: req.Ref, Commit: req.Commit}
	in := s.compileInput(ctx, &d, &repo, &req, vars)
	data, err := in.Files.ReadFile(d.Path)
	if err == nil {
		c.Parameters, err = compile.Parameters(d.Path, data)
	}
	if err != nil {
		if c.Problems = fileProblems(err, d.Path); len(c.Problems) == 0 {
			return c, err
		}
		return c, nil
	}
	in.Pipeline = true
	report := compile.Check(in)
	c.Problems = fileProblems(report.Problems.Err(), d.Path)
	if report.Plan != nil && (len(report.Plan.Stages) > 1 || report.Plan.Stages[0].Name != plan.DefaultStage) {
		c.Stages = report.Plan.Stages
	}
	return c, nil
}

// Branches are those of the pipeline's repository.
func (s *Service) Branches(ctx context.Context, id slipway.PipelineID) ([]Branch, error) {
	d, err := s.Definition(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.Source.Branches(ctx, d.Repository)
}

// asked checks what a person asks for and finds what it is about.
func (s *Service) asked(ctx context.Context, req *QueueRequest) (Definition, Repository, error) {
	req.reason = variable.ReasonManual
	d, err := s.Definition(ctx, req.Pipeline)
	if err != nil {
		return d, Repository{}, err
	}
	repo, err := s.Source.Repository(ctx, d.Repository)
	if err != nil {
		return d, repo, err
	}
	if err := errors.Join(checkVariables(req.Variables), checkGiven(req), checkStop(req)); err != nil {
		return d, repo, err
	}
	if req.Commit == "" {
		return d, repo, nil
	}
	if !commitName().MatchString(string(req.Commit)) {
		return d, repo, field(slipway.Invalid("%q is no commit: write its name or the beginning of it, at least 4 hexadecimal digits", req.Commit), FieldCommit)
	}
	if len(req.Commit) < 40 {
		commit, err := s.Source.Resolve(ctx, repo.ID, string(req.Commit))
		if err != nil {
			return d, repo, field(err, FieldCommit)
		}
		req.Commit = commit
	}
	return d, repo, nil
}

var (
	commitName   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-fA-F]{4,64}$`) })
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

func checkGiven(req *QueueRequest) error {
	if n := len(req.Parameters); n > maxGiven {
		return field(slipway.Limit("a run takes up to %d parameters, not %d", maxGiven, n), FieldParameters)
	}
	if n := len(req.SkipStages); n > maxGiven {
		return field(slipway.Limit("up to %d stages can be left out, not %d", maxGiven, n), FieldSkipStages)
	}
	return nil
}

// checkVariables refuses names that cannot be variables, and those that Slipway itself defines.
func checkVariables(set variable.Set) error {
	if set.Len() > maxGiven {
		return field(slipway.Limit("a run takes up to %d variables, not %d", maxGiven, set.Len()), FieldVariables)
	}
	for _, name := range set.Names() {
		at := FieldVariables + "." + name
		if !variableName.MatchString(name) || len(name) > maxGiven {
			return field(slipway.Invalid("%q is no name of a variable: use letters, digits, dots, dashes and underscores, a letter first", name), at)
		}
		if len(set.Text(name)) > maxGivenText {
			return field(slipway.Limit("variable %s has %d bytes, more than %d", name, len(set.Text(name)), maxGivenText), at)
		}
		lower := strings.ToLower(name)
		own := slices.ContainsFunc(definedBySlipway, func(prefix string) bool { return strings.HasPrefix(lower, prefix) })
		if (own || lower == "tf_build") && lower != "system.debug" {
			return field(slipway.Invalid("variable %s is set by Slipway and cannot be chosen", name), at)
		}
	}
	return nil
}

// skippable finds a stage that is to be left out.
func skippable(p *plan.Plan, name string) (*plan.Stage, error) {
	names := make([]string, len(p.Stages))
	for i := range p.Stages {
		st := &p.Stages[i]
		names[i] = st.Name
		if !strings.EqualFold(st.Name, name) {
			continue
		}
		if st.Unskippable {
			return nil, field(slipway.Invalid("stage %q may not be left out", st.Name), FieldSkipStages)
		}
		return st, nil
	}
	return nil, field(slipway.Invalid("there is no stage %q to leave out%s", name, nearest.Suggest(name, names)), FieldSkipStages)
}

// field is err with the input at fault named, if it is a problem of a user.
func field(err error, name string) error {
	var p *slipway.Problem
	if !errors.As(err, &p) {
		return err
	}
	named := *p
	named.Field = name
	return &named
}

// whole is err with all that is wrong with files in one message, each with its place.
func whole(err error, path string) error {
	var p *slipway.Problem
	if errors.As(err, &p) && (p.Field != "" || p.Position == nil) {
		return err
	}
	list := fileProblems(err, path)
	if len(list) == 0 {
		return err
	}
	lines := make([]string, len(list))
	for i, one := range list {
		lines[i] = one.String()
	}
	return slipway.Invalid("%s", strings.Join(lines, "\n"))
}
