package builderpod

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"github.com/google/renameio/v2"
)

const (
	serverName = "slipway-builder" // in the builder's certificate
	clientName = "slipway"
	life       = 3 * 365 * 24 * time.Hour
	renewal    = life / 3 // what is left when a start makes new ones
	backdate   = time.Hour
)

// Credentials are two certificates of one authority, whose key nobody has: it is forgotten when both are signed. The
// server's half goes into the cluster, the client's stays here. All are PEM.
type Credentials struct {
	CA                string    `json:"ca"`
	ServerCertificate string    `json:"serverCertificate"`
	ServerKey         string    `json:"serverKey"`
	ClientCertificate string    `json:"clientCertificate"`
	ClientKey         string    `json:"clientKey"`
	Expires           time.Time `json:"expires"`
}

// OpenCredentials reads the file, and makes it anew when there is none or its certificates end within a year.
func OpenCredentials(file string, now time.Time) (Credentials, error) {
	var c Credentials
	text, err := os.ReadFile(file)
	if err == nil {
		if err := json.Unmarshal(text, &c); err != nil {
			return c, fmt.Errorf("read the image builder's credentials %s: %w", file, err)
		}
		if now.Add(renewal).Before(c.Expires) {
			return c, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("read the image builder's credentials: %w", err)
	}
	if c, err = newCredentials(now); err != nil {
		return c, fmt.Errorf("make the image builder's credentials: %w", err)
	}
	if text, err = json.Marshal(c); err != nil {
		return c, fmt.Errorf("write the image builder's credentials: %w", err)
	}
	if err := renameio.WriteFile(file, text, 0o600); err != nil {
		return c, fmt.Errorf("write the image builder's credentials: %w", err)
	}
	return c, nil
}

func newCredentials(now time.Time) (Credentials, error) {
	c := Credentials{Expires: now.Add(life)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	authority, err := template("slipway builder authority", now)
	if err != nil {
		return c, err
	}
	authority.IsCA, authority.BasicConstraintsValid, authority.MaxPathLenZero, authority.KeyUsage = true, true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		return c, err
	}
	c.CA = encode("CERTIFICATE", der)
	if c.ServerCertificate, c.ServerKey, err = sign(serverName, x509.ExtKeyUsageServerAuth, authority, key, now); err != nil {
		return c, err
	}
	c.ClientCertificate, c.ClientKey, err = sign(clientName, x509.ExtKeyUsageClientAuth, authority, key, now)
	return c, err
}

func template(commonName string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: commonName}, NotBefore: now.Add(-backdate), NotAfter: now.Add(life)}, nil
}

func sign(host string, usage x509.ExtKeyUsage, authority *x509.Certificate, by *ecdsa.PrivateKey, now time.Time) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t, err := template(host, now)
	if err != nil {
		return "", "", err
	}
	t.DNSNames, t.KeyUsage, t.ExtKeyUsage = []string{host}, x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{usage}
	der, err := x509.CreateCertificate(rand.Reader, t, authority, private.Public(), by)
	if err != nil {
		return "", "", err
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", text), nil
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// client is how this server speaks to the builder.
func (c Credentials) client() (*tls.Config, error) {
	pair, err := tls.X509KeyPair([]byte(c.ClientCertificate), []byte(c.ClientKey))
	if err != nil {
		return nil, fmt.Errorf("read the image builder's client certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(c.CA)) {
		return nil, errors.New("the image builder's authority holds no certificate")
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ServerName: serverName, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}}, nil
}
