package signing

import (
	"context"
	"crypto"
	"encoding/asn1"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"

	"slipway"
)

// MaxTimestampRequest bounds a request for a timestamp, in bytes.
const MaxTimestampRequest = 8 << 10

// timestampPolicy is the best practices policy for timestamps (ETSI EN 319 421, section 5.2).
var timestampPolicy = asn1.ObjectIdentifier{0, 4, 0, 2023, 1, 1}

// Timestamp answers a request for a timestamp (RFC 3161), both in DER.
func (s *Service) Timestamp(ctx context.Context, request []byte) ([]byte, error) {
	r, err := timestamp.ParseRequest(request)
	if err != nil {
		return nil, slipway.Invalid("the request's body is no timestamp request of RFC 3161: %v", err)
	}
	switch r.HashAlgorithm {
	case crypto.SHA256, crypto.SHA384, crypto.SHA512:
	default:
		return nil, slipway.Invalid("the timestamp request has the hash algorithm %v: use SHA-256, SHA-384 or SHA-512", r.HashAlgorithm)
	}
	if len(r.HashedMessage) != r.HashAlgorithm.Size() {
		return nil, slipway.Invalid("the timestamp request has a hash of %d bytes, %v has %d", len(r.HashedMessage), r.HashAlgorithm, r.HashAlgorithm.Size())
	}
	if len(r.TSAPolicyOID) > 0 && !r.TSAPolicyOID.Equal(timestampPolicy) {
		return nil, slipway.Invalid("the timestamp request asks for policy %s: leave it out, or ask for %s", r.TSAPolicyOID, timestampPolicy)
	}
	a, err := s.current(ctx)
	if err != nil {
		return nil, err
	}
	return s.stamp(a, timestamp.Timestamp{HashAlgorithm: r.HashAlgorithm, HashedMessage: r.HashedMessage, Nonce: r.Nonce, AddTSACertificate: r.Certificates})
}

// stamp signs a timestamp of now.
func (s *Service) stamp(a authority, t timestamp.Timestamp) ([]byte, error) {
	key, err := s.openKey(a.stamperSealed, a.stamperContext())
	if err != nil {
		return nil, err
	}
	t.Time, t.Policy, t.Accuracy = s.clock.Now().UTC(), timestampPolicy, time.Second
	answer, err := t.CreateResponseWithOpts(a.stamper, key, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign a timestamp: %w", err)
	}
	return answer, nil
}
