package images

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"slipway"
	"slipway/internal/images/progress"

	gateway "github.com/moby/buildkit/frontend/gateway/pb"
	solver "github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc/codes"
)

// StepExit is the exit code of the command that failed the build, and false when the build
// failed for another reason.
func StepExit(err error) (code int, ok bool) {
	var exit *gateway.ExitError
	if !errors.As(err, &exit) {
		return 0, false
	}
	return int(exit.ExitCode), true
}

var unauthorized = regexp.MustCompile(`(?i)\b(401 unauthorized|403 forbidden|insufficient_scope|authorization failed|access denied)\b`)

// explain makes the error that a user reads from BuildKit's.
func explain(ctx context.Context, err error, failed *progress.FailedStep, platforms []string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the build was cancelled: %w", context.Cause(ctx))
	}
	message := plainMessage(err)
	if failed != nil {
		if platform, ok := needsEmulation(failed, message, platforms); ok {
			message = fmt.Sprintf("%s: the builder cannot run programs of %s, since nothing emulates that processor: run this step in a stage that begins with FROM --platform=$BUILDPLATFORM and compile for $TARGETARCH there, then COPY --from it", failed.Name, platform)
		}
	}
	if said := message; failed != nil && noSpace.MatchString(said+failed.Last) {
		message = failed.Name + ": the builder's disk is full: an administrator makes room with `slipway builder prune`, or gives the builder a larger disk: " + said
	}
	for _, m := range missing {
		if m.is.MatchString(message) {
			return slipway.Unavailable("%s", m.say).Because(err)
		}
	}
	for _, w := range wrong {
		if m := w.is.FindStringSubmatch(message); m != nil {
			return slipway.Invalid(w.say, m[1]).Because(err)
		}
	}
	message = baseImage(message)
	if at, ok := position(err); ok {
		if failed != nil && !strings.Contains(message, failed.Name) && !strings.HasPrefix(failed.Name, "[internal] ") {
			message = failed.Name + ": " + message
		}
		return (&slipway.Problem{Code: slipway.CodeInvalid, Message: message, Err: err}).At(at)
	}
	switch _, why, unfetched := strings.Cut(message, "failed to load cache key: "); {
	case unfetched && failed != nil:
		return slipway.Invalid("%s: the builder cannot fetch this: %s: check the address, or that the builder may reach it; else put what is there into the folder and COPY it", failed.Name, why).Because(err)
	case grpcerrors.Code(err) == codes.Aborted: // by the builder, for who cancelled it
		_, why, _ := strings.Cut(message, "desc = ")
		return slipway.Conflict("%s", why).Because(err)
	case grpcerrors.Code(err) == codes.Unavailable:
		return slipway.Unavailable("the connection to the builder was lost: run the build again").Because(err)
	case unauthorized.MatchString(message):
		return slipway.Forbidden("the registry refused: %s", message).Because(err)
	}
	return fmt.Errorf("build image: %w", err)
}

// Message is the sentence that a user reads of an error of this package. It leaves out the cause of a Problem that BuildKit or the network gave: its own
// sentence holds what the user needs. Causes are kept where there is no sentence for them.
func Message(err error) string {
	var p *slipway.Problem
	if !errors.As(err, &p) {
		return err.Error()
	}
	shown := *p
	if p.Code != slipway.CodeUnavailable {
		shown.Err = nil
	}
	return shown.Error()
}

// noSpace is what the system says of a full disk.
var noSpace = regexp.MustCompile(`(?i)no space left on device`)

// unresolved finds an image that BuildKit could not look up, and why.
var unresolved = regexp.MustCompile(`(?s)failed to resolve source metadata for (\S+): (.*)$`)

var (
	notThere   = regexp.MustCompile(`: not found$|repository does not exist`)
	noAnswer   = regexp.MustCompile(`dial tcp|no such host|i/o timeout|TLS handshake|connection reset|: 50[0-4] [A-Z]`)
	tooMany    = regexp.MustCompile(`(?i)429 too many requests`)
	notShown   = regexp.MustCompile(`: 40[13] [A-Z]`)
	noPlatform = regexp.MustCompile(`no match for platform`)
)

// baseImage says of an image that could not be had what to do about it.
func baseImage(message string) string {
	m := unresolved.FindStringSubmatch(message)
	if m == nil {
		return message
	}
	switch name, why := m[1], m[2]; {
	case notThere.MatchString(why):
		return fmt.Sprintf("the image %s is not there: check its name and tag, bring it in with `slipway registry import --mirror`, or make an upstream of its registry: %s", name, why)
	case noPlatform.MatchString(why):
		return fmt.Sprintf("the image %s is not there for this platform: build for one that it has, with --platform: %s", name, why)
	case noAnswer.MatchString(why):
		return fmt.Sprintf("the image %s cannot be had now: its registry does not answer; import the image, or make an upstream of the registry, which keeps copies: %s", name, why)
	case tooMany.MatchString(why):
		return fmt.Sprintf("the image %s cannot be had now: its registry limits how much is asked of it; try again later, give its upstream credentials, or import the image: %s", name, why)
	case notShown.MatchString(why):
		return fmt.Sprintf("the image %s is not shown to the builder: it does not exist there, or its registry or upstream wants other credentials: %s", name, why)
	}
	return message
}

// otherPlatform finds the platform that BuildKit names in a step of a build for several, or for one that is not its own.
var otherPlatform = regexp.MustCompile(`^\[(linux/[a-z0-9]+(?:/v\d)?)(?:->[^ ]*)? `)

// needsEmulation reports whether a step failed because its program is of a processor that this machine has not.
func needsEmulation(failed *progress.FailedStep, message string, platforms []string) (platform string, ok bool) {
	if !strings.Contains(failed.Last+message, "exec format error") {
		return "", false
	}
	if m := otherPlatform.FindStringSubmatch(failed.Name); m != nil {
		return m[1], true
	}
	return strings.Join(platforms, " or "), len(platforms) > 0
}

// missing are things outside of the build that it needs, with what to do about them.
var missing = []struct {
	is  *regexp.Regexp
	say string
}{
	{regexp.MustCompile(`failed to resolve source metadata for \S*(syft-scanner|sbom-scanner)\S*`),
		"the SBOM is made by the image " + DefaultScanner + ", which cannot be had: bring it in with `slipway registry import --mirror`, or name another one with --sbom=generator=IMAGE"},
	{regexp.MustCompile(`git (source|executable).*not (supported|found)|exec: "git"`),
		"the builder has no git, which a context from a git repository needs: check it out and name its folder"},
	{regexp.MustCompile(`granting entitlement|entitlement \S+ is not allowed|(security\.insecure|network\.host) is not allowed`),
		"a step asks for --security=insecure or --network=host, which the builder gives to nobody: take it out, or run the step in a job"},
}

// wrong are faults of what was asked for, with what to write instead.
var wrong = []struct {
	is  *regexp.Regexp
	say string // of what the expression found
}{
	{regexp.MustCompile(`target stage "([^"]*)" could not be found`), "the Dockerfile has no stage %q: name one that stands after AS in a FROM, or its number"},
	{regexp.MustCompile(`invalid frontend: (\S+)`), "the builder has no frontend %q: write dockerfile.v0, or gateway.v0 with the option source=IMAGE"},
}

// position is the place in the Dockerfile that BuildKit names, the innermost if there are more.
func position(err error) (slipway.Position, bool) {
	for _, s := range solver.Sources(err) {
		if s.Info == nil || len(s.Ranges) == 0 || s.Ranges[0].Start == nil {
			continue
		}
		start := s.Ranges[0].Start
		return slipway.Position{File: s.Info.Filename, Line: int(start.Line), Column: int(start.Character) + 1}, true
	}
	return slipway.Position{}, false
}

// plainMessage is BuildKit's message without the frames that its layers put around it.
func plainMessage(err error) string {
	s := err.Error()
	for _, frame := range []string{"failed to solve: ", "failed to solve with frontend dockerfile.v0: ", "rpc error: code = Unknown desc = "} {
		s = strings.ReplaceAll(s, frame, "")
	}
	return s
}

// Excerpt shows the Dockerfile's lines around the fault, as docker does, or "" when BuildKit
// names no place.
func Excerpt(err error) string {
	var b strings.Builder
	for _, s := range solver.Sources(err) {
		if s.Print(&b) != nil {
			return ""
		}
	}
	return b.String()
}
