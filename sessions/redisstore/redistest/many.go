package redistest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"authsidecar/sessions/storetest/servertest"
)

// Replica starts a replica of this server.
func (s *Server) Replica(t testing.TB, settings ...string) *Server {
	t.Helper()
	replica := Start(t, append([]string{fmt.Sprintf("replicaof 127.0.0.1 %d", s.Port), "repl-diskless-sync-delay 0"}, settings...)...)
	until(t, "the replica follows", func() bool {
		return strings.Contains(replica.Do(t, "INFO", "replication"), "master_link_status:up")
	})
	// Its link can be up for a second before it gets what is written (Redis 7.0).
	s.Do(t, "PUBLISH", "redistest", "are you there")
	written := s.offset(t)
	until(t, "the replica gets what is written", func() bool { return replica.offset(t) >= written })
	return replica
}

// offset returns how much was written to this server, in bytes of the replication stream.
func (s *Server) offset(t testing.TB) int {
	t.Helper()
	_, after, _ := strings.Cut(s.Do(t, "INFO", "replication"), "master_repl_offset:")
	line, _, _ := strings.Cut(after, "\r\n")
	offset, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return offset
}

// Sentinels starts n Sentinels that monitor this server under a name.
func (s *Server) Sentinels(t testing.TB, name string, n int) []*Server {
	t.Helper()
	all := make([]*Server, n)
	for i := range all {
		all[i] = &Server{dir: servertest.Dir(t, "", nil), Port: servertest.Port(t), args: []string{"--sentinel"}}
		all[i].start(t, []string{
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", name, s.Port, n/2+1),
			fmt.Sprintf("sentinel auth-pass %s %s", name, quote(Password)),
			fmt.Sprintf("sentinel down-after-milliseconds %s 1000", name),
			fmt.Sprintf("sentinel failover-timeout %s 5000", name),
			"requirepass " + quote(Password),
			"sentinel sentinel-pass " + quote(Password),
		})
	}
	until(t, "the sentinels know each other and the replicas", func() bool {
		for _, sentinel := range all {
			out := sentinel.Do(t, "SENTINEL", "MASTER", name)
			if !strings.Contains(out, "num-other-sentinels\n"+strconv.Itoa(n-1)+"\n") || strings.Contains(out, "num-slaves\n0\n") {
				return false
			}
		}
		return true
	})
	return all
}

// Failover makes a Sentinel promote a replica. Otherwise the Sentinels would agree first, in their
// own time, which is long on a busy machine: an election without a winner is repeated after 10 s.
func Failover(t testing.TB, sentinel *Server, name string) {
	t.Helper()
	servertest.Until(t, "a replica becomes the master", func() error {
		_, err := sentinel.do("SENTINEL", "FAILOVER", name)
		if err != nil && strings.HasPrefix(err.Error(), "INPROG") { // it may have begun by itself
			err = nil
		}
		return err
	})
}

// A Cluster has three masters with a replica each.
type Cluster struct {
	Nodes []*Server

	buses []string // the ports at which the nodes speak to each other
}

// StartCluster starts a cluster.
func StartCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	c := new(Cluster)
	for range 6 {
		s, bus := &Server{dir: servertest.Dir(t, "", nil), Port: servertest.Port(t)}, servertest.Port(t)
		c.buses = append(c.buses, strconv.Itoa(bus))
		s.start(t, append([]string{
			`save ""`, "requirepass " + quote(Password), "masterauth " + quote(Password), "cluster-enabled yes",
			"cluster-config-file " + filepath.Join(s.dir, "nodes.conf"), "cluster-node-timeout 2000",
			"cluster-port " + strconv.Itoa(bus), "repl-diskless-sync-delay 0",
		}, settings...))
		c.Nodes = append(c.Nodes, s)
	}
	c.form(t)
	until(t, "the cluster is there", func() bool {
		for _, s := range c.Nodes {
			if !strings.Contains(s.Do(t, "CLUSTER", "INFO"), "cluster_state:ok") {
				return false
			}
			info := s.Do(t, "INFO", "replication")
			if !strings.Contains(info, "state=online") && !strings.Contains(info, "master_link_status:up") {
				return false
			}
		}
		return true
	})
	return c
}

// form makes the nodes one cluster: the slots are those of the first three, which the others follow.
func (c *Cluster) form(t testing.TB) {
	t.Helper()
	masters := len(c.Nodes) / 2
	const slots = 16384
	for i, s := range c.Nodes {
		if s.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); i < masters {
			s.Do(t, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/masters), strconv.Itoa((i+1)*slots/masters-1))
		}
		for j, other := range c.Nodes[:i] {
			s.Do(t, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.Port), c.buses[j])
		}
	}
	for i, s := range c.Nodes[masters:] {
		master := c.Nodes[i].Do(t, "CLUSTER", "MYID")
		servertest.Until(t, "the replica knows its master", func() error {
			_, err := s.do("CLUSTER", "REPLICATE", master)
			return err
		})
	}
}

// URL returns the URL of all nodes.
func (c *Cluster) URL() string {
	return URL(c.Nodes[0].Port, "", Password, 0) + "?addr=" + strings.Join(c.addrs()[1:], "&addr=")
}

func (c *Cluster) addrs() []string {
	addrs := make([]string, len(c.Nodes))
	for i, s := range c.Nodes {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Masters returns the current masters.
func (c *Cluster) Masters(t testing.TB) (masters []*Server) {
	t.Helper()
	for _, s := range c.Nodes {
		if out, err := s.do("ROLE"); err == nil && strings.HasPrefix(out, "master") {
			masters = append(masters, s)
		}
	}
	return masters
}

func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	servertest.Until(t, what, func() error {
		if !so() {
			return errors.New("it is not so")
		}
		return nil
	})
}
