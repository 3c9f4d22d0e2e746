package redisstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/redisstore/redistest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/storetest/servertest"
)

// TestAUserNeedsNoMoreThanTheDocumentedRights reads them from doc.go.
func TestAUserNeedsNoMoreThanTheDocumentedRights(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rights, found := strings.Cut(string(doc), "//	ACL SETUSER sidecar on >password ")
	rights, _, end := strings.Cut(rights, "package")
	if !found || !end {
		t.Fatal("the rights are not in doc.go")
	}
	const password = "a/b?c@d e"
	for name, nodes := range map[string][]*redistest.Server{"a server": {redistest.Start(t)}, "a cluster": cluster(t).Nodes} {
		t.Run(name, func(t *testing.T) {
			prefix := newPrefix()
			words := strings.Fields(strings.NewReplacer("//", "", defaultPrefix, prefix).Replace(rights))
			for _, node := range nodes {
				node.Do(t, append([]string{"ACL", "SETUSER", "sidecar", "reset", "on", ">" + password}, words...)...)
			}
			log := new(bytes.Buffer)
			s := openStore(t, Options{URL: redistest.URL(nodes[0].Port, "sidecar", "wrong", 0), Password: password, Prefix: prefix, Log: slog.New(slog.NewTextHandler(log, nil))})
			sharedtest.Everything(t, s)
			if !strings.Contains(log.String(), "persists nothing") {
				t.Errorf("nobody is warned: %s", log)
			}
			_, err := Open(ctx(), Options{URL: redistest.URL(nodes[0].Port, "sidecar", "hunter2", 0)})
			if !errors.Is(err, sessions.ErrUnavailable) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a wrong password: %v", err)
			}
			_, err = Open(ctx(), Options{URL: redistest.URL(nodes[0].Port, "sidecar", password, 0), Prefix: "other"})
			if !errors.Is(err, sessions.ErrUnavailable) {
				t.Errorf("keys of others: %v", err)
			}
		})
	}
}

// certificate makes one of 127.0.0.1 that vouches for itself, and returns its files.
func certificate(t *testing.T) (pool *x509.CertPool, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, data := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool, cert, key
}

// TestTLSIsVerified: whom nobody vouches for is not believed.
func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	pool, cert, key := certificate(t)
	port := servertest.Port(t)
	redistest.Start(t, fmt.Sprint("tls-port ", port), "tls-cert-file "+cert, "tls-key-file "+key, "tls-auth-clients no")
	u := strings.Replace(at(port), "redis://", "rediss://", 1)
	sharedtest.Everything(t, openStore(t, Options{URL: u, TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}))
	if _, err := Open(ctx(), Options{URL: u}); !errors.Is(err, sessions.ErrUnavailable) {
		t.Errorf("a server that nobody vouches for is believed: %v", err)
	}
}

func TestASocketIsAWayToo(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "redis.sock")
	redistest.Start(t, "unixsocket "+socket)
	u := url.URL{Scheme: "unix", User: url.UserPassword("default", redistest.Password), Path: socket, RawQuery: "db=3"}
	sharedtest.Everything(t, openStore(t, Options{URL: u.String()}))
}

// TestWhatReplicasDoNotHaveIsNotAcknowledged stops the replica.
func TestWhatReplicasDoNotHaveIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	replica := srv.Replica(t)
	s := openStore(t, Options{URL: srv.URL(0), Replicas: 1, ReplicaTimeout: 300 * time.Millisecond})
	sharedtest.Everything(t, s)
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	p := *sharedtest.Token(&row)
	replica.Freeze()
	defer replica.Thaw()
	for name, do := range map[string]func() error{
		"Create": func() error { return sharedtest.CreateErr(s, sharedtest.Row("two", s.Now())) },
		"Rotate": func() error { _, _, _, err := s.Rotate(ctx(), &p, &sessions.Fresh{}); return err },
		"Revoke": func() error { _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); return err },
		"AddCutoff": func() error {
			_, err := s.AddCutoff(ctx(), revocation.Cutoff{ID: "c", Realm: "r", At: s.Now(), Filter: sessions.Filter{User: "u"}})
			return err
		},
	} {
		if err := do(); !errors.Is(err, ErrReplicas) || !errors.Is(err, sessions.ErrUnavailable) {
			t.Errorf("%s without a replica: %v, not ErrReplicas", name, err)
		}
	}
	if _, err := s.Get(ctx(), row.Key()); err != nil {
		t.Errorf("reading waits for nobody: %v", err)
	}
	replica.Thaw()
	servertest.Until(t, "the replica is back", func() error { _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); return err })
}

// TestWhatMakesAnswersWorthLessIsWarnedOf starts servers that are set up badly.
func TestWhatMakesAnswersWorthLessIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings []string
		want     string
	}{
		{nil, "persists nothing"},
		{[]string{"save 60 1000"}, "persists now and then"},
		{[]string{"appendonly yes", "appendfsync no"}, "appendfsync is no"},
		{[]string{"appendonly yes", "maxmemory 100mb", "maxmemory-policy volatile-lru"}, "may evict"},
		{[]string{"appendonly yes", "maxmemory 100mb", "maxmemory-policy volatile-lru", "rename-command CONFIG none"}, "may evict"},
		{[]string{"rename-command CONFIG none"}, "persists now and then"},
		{[]string{"appendonly yes", "maxmemory 100mb", "maxmemory-policy noeviction"}, ""},
		{[]string{"appendonly yes", "appendfsync everysec"}, ""},
	} {
		log := new(bytes.Buffer)
		openStore(t, Options{URL: redistest.Start(t, c.settings...).URL(0), Log: slog.New(slog.NewTextHandler(log, nil))})
		if got := log.String(); !strings.Contains(got, c.want) || strings.Count(got, "level=WARN") != map[bool]int{true: 0, false: 1}[c.want == ""] {
			t.Errorf("%q warns: %s", c.settings, got)
		}
	}
}

// TestAServerThatIsFullSaysSo: nothing of a transition is done, and nothing that
// is there is touched.
func TestAServerThatIsFullSaysSo(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := openStore(t, Options{URL: srv.URL(0)})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	srv.Do(t, "CONFIG", "SET", "maxmemory", "1")
	err := sharedtest.CreateErr(s, sharedtest.Row("two", s.Now()))
	sharedtest.WantUnavailable(t, "Create", err)
	_, _, err = s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	sharedtest.WantUnavailable(t, "Revoke", err)
	if now := sharedtest.Get(t, s, row.Key()); !now.RevokedAt.IsZero() {
		t.Error("it was revoked, and that was not reported")
	}
	srv.Do(t, "CONFIG", "SET", "maxmemory", "0")
	if _, ended, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); !ended || err != nil {
		t.Errorf("with room again: %t, %v", ended, err)
	}
	if _, err := s.Get(ctx(), sessions.Key{Realm: row.Realm, ID: "two"}); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("half of a session is there: %v", err)
	}
}

// TestSentinelsLeadToTheNewMaster kills the master.
func TestSentinelsLeadToTheNewMaster(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	master.Replica(t)
	sentinels := master.Sentinels(t, "mymaster", 3)
	u := redistest.URL(sentinels[0].Port, "", redistest.Password, 0) + "?master_set=mymaster&addr=" + sentinels[1].Addr() + "&addr=" + sentinels[2].Addr()
	s := openStore(t, Options{URL: u, SentinelPassword: redistest.Password, Replicas: 1, ReplicaTimeout: 2 * time.Second})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	master.Kill()
	redistest.Failover(t, sentinels[0], "mymaster")
	servertest.Until(t, "the store finds the new master", func() error { return s.Ping(ctx()) })
	if now := sharedtest.Get(t, s, row.Key()); now.Generation != 0 {
		t.Errorf("the row is %+v", now)
	}
	alone := openStore(t, Options{URL: u, SentinelPassword: redistest.Password, Prefix: s.opts.Prefix})
	servertest.Until(t, "it may be written to", func() error { _, _, err := alone.Revoke(ctx(), row.Key(), sessions.EndRevoked); return err })
	sink, _ := sharedtest.Follow(t, alone)
	sharedtest.WantHeard(t, alone, sink)
}

// TestAClusterFailsOverUnderLoad kills a master.
func TestAClusterFailsOverUnderLoad(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	s := openStore(t, Options{URL: c.URL(), Replicas: 1, ReplicaTimeout: time.Second, Timeout: 2 * time.Second})
	l := sharedtest.StartLoad(t, s, 4)
	l.More(t, 50)
	masters := c.Masters(t)
	// Not the one that the URL names first: its place is taken by any.
	masters[len(masters)-1].Kill()
	servertest.Until(t, "a replica takes its place", func() error {
		if n := len(c.Masters(t)); n != len(masters) {
			return fmt.Errorf("%d masters", n)
		}
		for _, node := range c.Masters(t) {
			if info := node.Do(t, "CLUSTER", "INFO"); !strings.Contains(info, "cluster_state:ok") {
				return errors.New(info)
			}
		}
		return nil
	})
	// That shard has no replica any more, which is more than the store is to know.
	plain := openStore(t, Options{URL: c.URL(), Prefix: s.opts.Prefix, Timeout: 2 * time.Second})
	servertest.Until(t, "all of it answers", func() error {
		for i := range 50 {
			ctx, cancel := context.WithTimeout(ctx(), 2*time.Second)
			_, _, _, err := plain.Create(ctx, sharedtest.Row(fmt.Sprint("after-", i), plain.Now()))
			cancel()
			if err != nil {
				return err
			}
		}
		return nil
	})
	l.Stop()
	l.WantKept(t, plain)
}
