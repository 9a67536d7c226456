package hooks

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// waits are those before the second attempt and the following ones; after them a delivery has failed.
var waits = []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour}

// maxWait bounds what an answer may ask to wait.
const maxWait = 2 * time.Hour

// attempt sends the delivery once and writes down how it went. It returns how long to wait before the next attempt while the delivery is
// pending, and a negative time when the target says that it is gone for good.
func (s *Service) attempt(ctx context.Context, n Subscription, t Target, d *Delivery) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	d.Attempts++
	d.Attempted, d.Status, d.Answer, d.Error = s.clock.Now(), 0, "", ""
	start := time.Now()
	answer, err := s.post(ctx, n, t, d)
	d.Took = time.Since(start)
	final, asked := false, time.Duration(0)
	if err != nil {
		d.Error = plainError(err)
	} else {
		d.Status = answer.StatusCode
		d.Answer = mask(readAnswer(answer), t) // it may repeat what it was sent
		asked = retryAfter(answer.Header.Get("Retry-After"))
		switch {
		case answer.StatusCode/100 == 2:
			d.State = Succeeded
			return 0
		case answer.StatusCode/100 == 3:
			final, d.Error = true, fmt.Sprintf("it answered %s: deliveries follow no redirect, so give the address that it leads to", answer.Status)
		default:
			final, d.Error = !passing(answer.StatusCode), "it answered "+answer.Status
		}
	}
	if final || d.Attempts > len(waits) {
		d.State = Failed
		if d.Status == http.StatusGone {
			return -1
		}
		return 0
	}
	return max(waits[d.Attempts-1], asked)
}

// passing reports answers that another attempt may better.
func passing(status int) bool {
	return status >= 500 || slices.Contains([]int{http.StatusRequestTimeout, http.StatusConflict, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests}, status)
}

func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(value)
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxWait)
}

func (s *Service) post(ctx context.Context, n Subscription, t Target, d *Delivery) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, strings.NewReader(d.Body))
	if err != nil {
		return nil, err
	}
	h := r.Header
	for name, value := range t.Headers {
		h.Set(name, value)
	}
	if t.Username != "" || t.Password != "" {
		r.SetBasicAuth(t.Username, t.Password)
	}
	h.Set("Content-Type", n.Format.contentType())
	h.Set("User-Agent", "Slipway-Hooks/1.0")
	h.Set("X-Slipway-Event", d.Kind)
	h.Set("X-Slipway-Delivery", strconv.FormatInt(d.ID, 10))
	if t.Secret != "" {
		h.Set(signatureHeader, sign(t.Secret, []byte(d.Body)))
	}
	d.Request = head(r.Method+" "+r.URL.Scheme+"://"+r.URL.Host+"/…", h, t) // the rest of an address may be a secret
	return s.client.Do(r)
}

// head writes a message's first line and headers; what the target has as secrets is masked.
func head(first string, h http.Header, t Target) string {
	var b bytes.Buffer
	b.WriteString(first + "\n")
	_ = h.Write(&b) // a buffer takes everything
	return mask(strings.ReplaceAll(b.String(), "\r\n", "\n"), t)
}

func mask(text string, t Target) string {
	secrets := []string{t.Password, t.Secret}
	if t.Username != "" || t.Password != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(t.Username+":"+t.Password)))
	}
	for _, value := range t.Headers {
		secrets = append(secrets, value)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// readAnswer is the answer's head and the beginning of its body.
func readAnswer(answer *http.Response) string {
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	text := head(answer.Proto+" "+answer.Status, answer.Header, Target{}) + "\n"
	if !utf8.Valid(body) || bytes.IndexByte(body, 0) >= 0 {
		text += fmt.Sprintf("(%d bytes that are no text)", len(body))
	} else {
		text += string(body)
	}
	if err != nil {
		text += "\n(the answer broke off)"
	}
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "")
}

// plainError is a failed call without its address, which may be a secret.
func plainError(err error) string {
	var call *url.Error
	if errors.As(err, &call) {
		err = call.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("it did not answer within %s", answerTimeout)
	}
	return err.Error()
}
