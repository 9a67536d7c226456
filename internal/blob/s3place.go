package blob

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
)

// S3Options is where an S3 store lies and how it is reached.
type S3Options struct {
	Bucket   string
	Prefix   string   // folders in the bucket, joined by slashes; empty for its root
	Endpoint *url.URL // scheme and host
	Region   string
	Instance bool // credentials of the machine's or pod's role, which are fetched and renewed, instead of fixed ones
}

const maxS3Prefix = 100 // bytes; with it keys stay below S3's 1024

var bucketForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })

const s3Form = "write s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION"

// ParseS3 reads `s3://BUCKET/PREFIX?endpoint=URL&region=REGION&credentials=instance`. The prefix and each option may be
// missing: the region is then that of AWS_REGION, or us-east-1, and the endpoint is Amazon's. Credentials are refused in
// it, since a command line is read by everybody.
func ParseS3(rawURL string) (S3Options, error) {
	var o S3Options
	u, err := url.Parse(rawURL)
	switch {
	case err != nil || u.Scheme != "s3":
		return o, fmt.Errorf("the place %.200q is not understood: %s", rawURL, s3Form)
	case u.User != nil:
		return o, errors.New("credentials do not belong into the place, which others on this machine can read: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
	case !bucketForm().MatchString(u.Host):
		return o, fmt.Errorf("bucket %.80q: use 3 to 63 lower-case letters, digits, hyphens and dots", u.Host)
	}
	o.Bucket, o.Prefix = u.Host, strings.Trim(u.Path, "/")
	if o.Prefix != "" && (CheckKey(o.Prefix) != nil || len(o.Prefix) > maxS3Prefix) {
		return o, fmt.Errorf("prefix %.120q: use letters, digits, dots, hyphens and underscores between slashes, at most %d of them", o.Prefix, maxS3Prefix)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return o, fmt.Errorf("the place %.200q is not understood: %s", rawURL, s3Form)
	}
	for name, values := range query {
		if len(values) > 1 {
			return o, fmt.Errorf("option %q is given more than once: %s", name, s3Form)
		}
		if err := o.set(name, values[0]); err != nil {
			return o, err
		}
	}
	o.Region = cmp.Or(o.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	if o.Endpoint == nil {
		o.Endpoint = &url.URL{Scheme: "https", Host: "s3.amazonaws.com"}
	}
	return o, nil
}

func (o *S3Options) set(name, value string) error {
	switch name {
	case "region":
		o.Region = value
	case "endpoint":
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("endpoint %.100q: write http://HOST:PORT or https://HOST, without a path", value)
		}
		o.Endpoint = u
	case "credentials":
		if value != "instance" {
			return fmt.Errorf("credentials=%.40s: write instance for the role of the machine, or leave it out for the environment and files", value)
		}
		o.Instance = true
	default:
		return fmt.Errorf("option %.40q is not known: %s", name, s3Form)
	}
	return nil
}

// explain says in one sentence why the store cannot be used.
func (o S3Options) explain(err error) error {
	r := minio.ToErrorResponse(err)
	var untrusted x509.UnknownAuthorityError
	switch r.Code {
	case "":
		switch {
		case errors.As(err, &untrusted):
			return fmt.Errorf("the certificate of %s is not trusted: put its authority's into a file and name that with SSL_CERT_FILE", o.Endpoint)
		case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
			return fmt.Errorf("%s speaks HTTP without TLS: write endpoint=http://%s", o.Endpoint, o.Endpoint.Host)
		}
		return fmt.Errorf("the object storage at %s does not answer (%w): check the endpoint, and that this machine reaches it", o.Endpoint, err)
	case minio.NoSuchBucket:
		return fmt.Errorf("there is no bucket %q at %s: create it, or name another", o.Bucket, o.Endpoint)
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidClientTokenId", "XAdminUserNotFound":
		return fmt.Errorf("%s refuses the credentials (%s): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the file that AWS_SHARED_CREDENTIALS_FILE names", o.Endpoint, r.Code)
	case "RequestTimeTooSkewed":
		return fmt.Errorf("%s refuses requests since the clock of this machine is wrong: set it", o.Endpoint)
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", minio.InvalidRegion:
		return fmt.Errorf("bucket %q is not in region %s%s", o.Bucket, o.Region, inRegion(r.Region))
	case minio.AccessDenied:
		return fmt.Errorf("the credentials may not use bucket %q at %s: they need s3:ListBucket and s3:ListBucketMultipartUploads on it, and s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on %s", o.Bucket, o.Endpoint, o.Prefix+"/*")
	}
	return fmt.Errorf("the object storage at %s refuses to work: %w (%s)", o.Endpoint, err, r.Code)
}

func inRegion(region string) string {
	if region == "" {
		return ": write its region=REGION"
	}
	return ": write region=" + region
}
