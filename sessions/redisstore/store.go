package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/calls"
	"authsidecar/sessions/internal/serverclock"
)

// Store is a sessions.Store in the keys of one prefix in Redis, or a Redis Cluster, which any
// number of processes may share.
type Store struct {
	opts   Options
	client rueidis.Client
	keys   keys
	feed   string // the channel
	lua    *scripts
	shards int // number of parts of the indexes of all rows
	clock  *serverclock.Clock
	node   string // identifies this node in its heartbeats
	gate   calls.Gate
	lanes  *calls.Lanes
	realms sync.Map // those that claim found to be ours
}

// clusterShards is into how many parts a cluster splits the indexes of all rows, so that no node
// has all of them.
const clusterShards = 16

// layout is the version of names, members, and the first part of rows. A release supports only its
// own. Builds before the first release used 1, which took twice the memory.
const layout = 2

// Open connects to the server. Its errors wrap sessions.ErrUnavailable: the server does not
// respond. Errors that persist wrap sessions.ErrSetup too: invalid options, missing permissions,
// sessions.ErrNoStore, ErrNewer.
func Open(ctx context.Context, opts Options) (*Store, error) {
	opts.defaults()
	s := &Store{
		opts: opts, node: rand.Text(), keys: keys(opts.Prefix + ":"), shards: 1, clock: serverclock.New(opts.Clock, opts.Now),
		lanes: calls.NewLanes(opts.MaxCalls, waitingPerCall, opts.Wait, ErrBusy),
	}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("opening session store: %w", refusal(err))
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	config, err := s.opts.client()
	if err != nil {
		return fmt.Errorf("%w: %w", sessions.ErrSetup, err)
	}
	if addr := exposed(s.opts.URL, &config); addr != "" {
		s.opts.Log.Warn("the connection to the server is not encrypted: use rediss://", "addr", addr)
	}
	if s.client, err = rueidis.NewClient(config); err != nil {
		return err
	}
	whole := s.client.Mode() != rueidis.ClientModeCluster
	if !whole {
		s.shards = clusterShards
	}
	s.feed = string(s.keys) + "feed:" + strconv.Itoa(config.SelectDB)
	s.lua = newScripts(s.keys, whole, s.feed)
	if err = s.checkLayout(ctx); err == nil {
		err = s.warn(ctx)
	}
	if err != nil {
		s.client.Close()
	}
	return err
}

func (s *Store) onOneServer() bool { return s.shards == 1 }

// checkLayout reads the layout of the keys, or sets it.
func (s *Store) checkLayout(ctx context.Context) error {
	found, err := s.askNow(ctx, s.client.B().Get().Key(s.keys.layout()).Build())
	if err != nil {
		return err
	}
	if rueidis.IsRedisNil(found[0].Error()) {
		if s.opts.MustExist {
			return sessions.ErrNoStore
		}
		s.opts.Log.Info("there was no session store: a new one is made", "prefix", s.opts.Prefix)
	}
	r, err := s.runNow(ctx, s.lua.layout, s.keys.layout(), strconv.Itoa(layout))
	if err != nil {
		return err
	}
	if found := r.int(); r.err == nil && found != layout {
		return map[bool]error{true: ErrNewer, false: ErrOlder}[found > layout]
	}
	return r.err
}

// Close waits for operations in flight and closes the store: all later ones return
// sessions.ErrClosed.
func (s *Store) Close() error {
	return s.gate.Close(func() error {
		s.client.Close()
		return nil
	})
}

// Now returns the server's time, as estimated from its responses.
func (s *Store) Now() time.Time { return s.clock.Now() }

// Ping returns nil if the server responds.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.run(ctx, s.lua.get, s.keys.row("ping"))
	return err
}

// Interface guards
var (
	_ sessions.Store = (*Store)(nil)
)
