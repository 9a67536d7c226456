// Package pki makes and renews the cluster's keys, certificates and kubeconfigs. It knows file names and Kubernetes'
// certificate conventions (https://kubernetes.io/docs/setup/best-practices/certificates/), and no running component.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 2 * 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is made anew, at a start.
	renewBefore = 180 * 24 * time.Hour
)

// Cluster says for whom certificates are made.
type Cluster struct {
	Dir      string // where the files go
	NodeName string // CN system:node:NAME
	Node     net.IP // address of API server and kubelet
	Service  net.IP // address of the service "kubernetes"
	Server   string // the API server's URL, for the kubeconfigs
	Admin    string // path of the administrator's kubeconfig
	Now      time.Time
}

// leaf is one certificate to have.
type leaf struct {
	name      string
	authority string
	subject   pkix.Name
	hosts     []string
	ips       []net.IP
	server    bool
	client    bool
	config    string // path of a kubeconfig to write, if any
}

// Ensure makes whatever is missing, unreadable, about to expire or made for other addresses. It may be called at every
// start; what is good stays untouched.
func (c Cluster) Ensure() error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("make folder of certificates: %w", err)
	}
	authorities := map[string]*authority{}
	for _, name := range []string{"ca", "front-proxy-ca", "etcd-ca"} {
		a, err := c.authority(name)
		if err != nil {
			return fmt.Errorf("certificate authority %s: %w", name, err)
		}
		authorities[name] = a
	}
	if err := c.serviceAccountKey(); err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	for _, l := range c.leaves() {
		if err := c.ensureLeaf(l, authorities[l.authority]); err != nil {
			return fmt.Errorf("certificate %s: %w", l.name, err)
		}
	}
	return nil
}

func (c Cluster) leaves() []leaf {
	local := net.IPv4(127, 0, 0, 1)
	return []leaf{
		{name: "apiserver", authority: "ca", subject: pkix.Name{CommonName: "kube-apiserver"}, server: true, ips: []net.IP{c.Node, c.Service, local},
			hosts: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}},
		{name: "apiserver-kubelet-client", authority: "ca", subject: pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}, client: true},
		{name: "kubelet", authority: "ca", subject: pkix.Name{CommonName: "system:node:" + c.NodeName, Organization: []string{"system:nodes"}}, server: true, client: true,
			ips: []net.IP{c.Node, local}, hosts: []string{c.NodeName}, config: c.path("kubelet.kubeconfig")},
		{name: "controller-manager", authority: "ca", subject: pkix.Name{CommonName: "system:kube-controller-manager"}, client: true, config: c.path("controller-manager.kubeconfig")},
		{name: "scheduler", authority: "ca", subject: pkix.Name{CommonName: "system:kube-scheduler"}, client: true, config: c.path("scheduler.kubeconfig")},
		{name: "proxy", authority: "ca", subject: pkix.Name{CommonName: "system:kube-proxy"}, client: true, config: c.path("proxy.kubeconfig")},
		{name: "addons", authority: "ca", subject: pkix.Name{CommonName: "slipway:addons", Organization: []string{"system:masters"}}, client: true, config: c.path("addons.kubeconfig")},
		{name: "metrics", authority: "ca", subject: pkix.Name{CommonName: "metrics-server"}, server: true, hosts: []string{"metrics-server.kube-system.svc"}, ips: []net.IP{c.Node}},
		{name: "admin", authority: "ca", subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}, client: true, config: c.Admin},
		{name: "front-proxy-client", authority: "front-proxy-ca", subject: pkix.Name{CommonName: "front-proxy-client"}, client: true},
		{name: "etcd", authority: "etcd-ca", subject: pkix.Name{CommonName: "etcd"}, server: true, client: true, ips: []net.IP{local}, hosts: []string{"localhost"}},
		{name: "apiserver-etcd-client", authority: "etcd-ca", subject: pkix.Name{CommonName: "kube-apiserver-etcd-client"}, client: true},
	}
}

func (c Cluster) path(name string) string { return filepath.Join(c.Dir, name) }

// authority is a certificate with the key that signs others.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	made bool // in this call: everything below it is void
}

func (c Cluster) authority(name string) (*authority, error) {
	cert, key, err := c.read(name)
	if err == nil && c.Now.Add(renewBefore).Before(cert.NotAfter) {
		return &authority{cert: cert, key: key}, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // an unreadable authority is for a person to judge: replacing it cuts everybody off
	}
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "slipway-" + name},
		NotAfter:              c.Now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err = c.sign(name, template, template, key, key)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, made: true}, nil
}

func (c Cluster) ensureLeaf(l leaf, a *authority) error {
	cert, key, err := c.read(l.name)
	if err != nil || a.made || !c.fits(l, cert, a) {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		template := &x509.Certificate{
			Subject: l.subject, DNSNames: l.hosts, IPAddresses: l.ips,
			NotAfter: c.Now.Add(leafLife), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		}
		if l.server {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
		}
		if l.client {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
		if _, err = c.sign(l.name, template, a.cert, key, a.key); err != nil {
			return err
		}
	}
	if l.config == "" {
		return nil
	}
	return c.kubeconfig(l.name, l.config)
}

// fits tells whether a certificate on disk is still the one that is wanted.
func (c Cluster) fits(l leaf, cert *x509.Certificate, a *authority) bool {
	sameIP := slices.EqualFunc(cert.IPAddresses, l.ips, func(x, y net.IP) bool { return x.Equal(y) })
	return c.Now.Add(renewBefore).Before(cert.NotAfter) && cert.CheckSignatureFrom(a.cert) == nil && sameIP &&
		slices.Equal(cert.DNSNames, l.hosts) && cert.Subject.String() == l.subject.String()
}

func (c Cluster) sign(name string, template, parent *x509.Certificate, key, signer crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = c.Now.Add(-time.Hour) // a clock that is set back a little must not lock the cluster out
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	if err := c.writeKey(name, key); err != nil {
		return nil, err
	}
	if err := write(c.path(name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func (c Cluster) read(name string) (*x509.Certificate, crypto.Signer, error) {
	certPEM, err := os.ReadFile(c.path(name + ".crt"))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, nil, fmt.Errorf("%s.crt holds no certificate", name)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := c.readKey(name)
	if err != nil {
		return nil, nil, err
	}
	return cert, key, nil
}

func (c Cluster) readKey(name string) (crypto.Signer, error) {
	keyPEM, err := os.ReadFile(c.path(name + ".key"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil, fmt.Errorf("%s.key holds no key", name)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func (c Cluster) writeKey(name string, key crypto.Signer) error {
	der, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return write(c.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// serviceAccountKey signs the pods' tokens. It never expires: a new one would void every token.
func (c Cluster) serviceAccountKey() error {
	if _, err := c.readKey("service-account"); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := write(c.path("service-account.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644); err != nil {
		return err
	}
	return c.writeKey("service-account", key)
}

// write replaces a file as a whole, and leaves one alone that is the same already.
func write(path string, data []byte, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
