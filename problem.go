package slipway

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies a Problem; doors map it to their protocol's status.
type Code string

// The codes.
const (
	CodeInvalid         Code = "invalid"         // the input is wrong; saying it again will not help
	CodeNotFound        Code = "not_found"       // no such thing, or the caller may not know of it
	CodeConflict        Code = "conflict"        // it exists already, or has changed meanwhile
	CodeForbidden       Code = "forbidden"       // the caller is known and may not
	CodeUnauthenticated Code = "unauthenticated" // the caller must say who it is
	CodeLimit           Code = "limit"           // a size, count or rate limit was hit
	CodeUnavailable     Code = "unavailable"     // a part that is needed is not there now; try again
	CodeFull            Code = "full"            // there is no room left where it would be kept
	CodeUnsupported     Code = "unsupported"     // well-formed, but Slipway cannot do this
	CodeInternal        Code = "internal"        // a fault of Slipway or its machine
)

// Position is a place in a text file; lines and columns count from 1.
type Position struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String writes the position as `file:line:column`.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	if p.Column == 0 {
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is an error that a user is meant to read. Message says what is wrong and what to do, in
// one sentence and without secrets. Err is the cause that only operators see.
type Problem struct {
	Code     Code
	Message  string
	Field    string    // the input at fault, if one is
	Position *Position // the place at fault in a file, if there is one
	Err      error
}

func (p *Problem) Error() string {
	s := p.Message
	if p.Position != nil {
		s = p.Position.String() + ": " + s
	}
	if p.Err != nil {
		s += ": " + p.Err.Error()
	}
	return s
}

func (p *Problem) Unwrap() error { return p.Err }

func problem(code Code, format string, args []any) *Problem {
	return &Problem{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Because returns a copy of p with its cause, which operators see and users do not.
func (p *Problem) Because(err error) *Problem {
	q := *p
	q.Err = err
	return &q
}

// At returns a copy of p with its place in a file.
func (p *Problem) At(pos Position) *Problem {
	q := *p
	q.Position = &pos
	return &q
}

// Invalid, NotFound and the others make a Problem of that code with a formatted message.
func Invalid(format string, args ...any) *Problem   { return problem(CodeInvalid, format, args) }
func NotFound(format string, args ...any) *Problem  { return problem(CodeNotFound, format, args) }
func Conflict(format string, args ...any) *Problem  { return problem(CodeConflict, format, args) }
func Forbidden(format string, args ...any) *Problem { return problem(CodeForbidden, format, args) }
func Unauthenticated(format string, args ...any) *Problem {
	return problem(CodeUnauthenticated, format, args)
}
func Limit(format string, args ...any) *Problem       { return problem(CodeLimit, format, args) }
func Unavailable(format string, args ...any) *Problem { return problem(CodeUnavailable, format, args) }
func Full(format string, args ...any) *Problem        { return problem(CodeFull, format, args) }
func Unsupported(format string, args ...any) *Problem { return problem(CodeUnsupported, format, args) }

// CodeOf is the code of the first Problem in err's chain, CodeInternal without one, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var p *Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return CodeInternal
}

// RetryError asks whoever runs the work again to wait a while first.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// Retry wraps err: the work may succeed when tried again after d.
func Retry(d time.Duration, err error) error { return &RetryError{After: d, Err: err} }

// NeedsHumanError says that trying again is useless until somebody changes something.
type NeedsHumanError struct {
	Reason string
	Err    error
}

func (e *NeedsHumanError) Error() string { return e.Reason + ": " + e.Err.Error() }
func (e *NeedsHumanError) Unwrap() error { return e.Err }

// NeedsHuman wraps err: do not try again; reason is the sentence to show.
func NeedsHuman(reason string, err error) error { return &NeedsHumanError{Reason: reason, Err: err} }
