package registry

import (
	"fmt"

	"slipway"
)

// Fault is an error code of the distribution specification ("Error Codes").
type Fault string

// The faults.
const (
	BlobUnknown         Fault = "BLOB_UNKNOWN"
	BlobUploadInvalid   Fault = "BLOB_UPLOAD_INVALID"
	BlobUploadUnknown   Fault = "BLOB_UPLOAD_UNKNOWN"
	DigestInvalid       Fault = "DIGEST_INVALID"
	ManifestBlobUnknown Fault = "MANIFEST_BLOB_UNKNOWN"
	ManifestInvalid     Fault = "MANIFEST_INVALID"
	ManifestUnknown     Fault = "MANIFEST_UNKNOWN"
	NameInvalid         Fault = "NAME_INVALID"
	NameUnknown         Fault = "NAME_UNKNOWN"
	SizeInvalid         Fault = "SIZE_INVALID"
	Unauthorized        Fault = "UNAUTHORIZED"
	Denied              Fault = "DENIED"
	Unsupported         Fault = "UNSUPPORTED"
	TooManyRequests     Fault = "TOOMANYREQUESTS"
)

// Error is a Problem with the code that registry clients expect. slipway.CodeOf and errors.As see the Problem.
type Error struct {
	Fault   Fault
	Problem *slipway.Problem
}

func (e *Error) Error() string { return string(e.Fault) + ": " + e.Problem.Error() }

func (e *Error) Unwrap() error { return e.Problem }

func fault(f Fault, p *slipway.Problem) error { return &Error{Fault: f, Problem: p} }

// RangeError says that a chunk does not begin where the upload's received bytes end.
type RangeError struct{ Upload Upload }

func (e *RangeError) Error() string {
	return fmt.Sprintf("chunk is out of order: %d bytes were received so far", e.Upload.Received)
}
