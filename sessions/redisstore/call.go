package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"
	"golang.org/x/sync/errgroup"

	"authsidecar/sessions/internal/calls"
)

// A runner is run or runNow.
type runner func(ctx context.Context, sc *script, key string, args ...string) (*reader, error)

// run runs a script on a key, and returns its result after the time.
func (s *Store) run(ctx context.Context, sc *script, key string, args ...string) (*reader, error) {
	lane, err := s.lanes.Run(ctx)
	if err != nil {
		return nil, err
	}
	defer lane.Leave()
	return s.runNow(ctx, sc, key, args...)
}

// runNow is run without waiting in the lanes.
func (s *Store) runNow(ctx context.Context, sc *script, key string, args ...string) (*reader, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	ctx, cancel := calls.Bounded(ctx, s.opts.Timeout)
	defer cancel()
	args = append([]string{s.scriptTime()}, args...)
	keys := []string{key}
	if sc == s.lua.addCutoff {
		keys = append(keys, s.keys.place())
	}
	asked := s.clock.Passed()
	var result rueidis.RedisResult
	if sc.write && s.opts.Replicas > 0 {
		var err error
		if result, err = s.runReplicated(ctx, sc, keys, args); err != nil {
			return nil, unavailable(err)
		}
	} else {
		result = sc.lua.Exec(ctx, s.client, keys, args)
	}
	values, err := result.ToArray()
	if err != nil {
		return nil, unavailable(err)
	}
	r := &reader{values: values}
	s.learn(asked, r)
	return r, r.err
}

// runReplicated runs a script and waits for replicas on the same connection: WAIT covers only the
// writes of its connection.
func (s *Store) runReplicated(ctx context.Context, sc *script, keys, args []string) (result rueidis.RedisResult, err error) {
	err = s.client.Dedicated(func(c rueidis.DedicatedClient) error {
		results := c.DoMulti(ctx,
			c.B().Eval().Script(sc.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build(),
			c.B().Wait().Numreplicas(int64(s.opts.Replicas)).Timeout(s.opts.ReplicaTimeout.Milliseconds()).Build())
		result = results[0]
		if err := result.Error(); err != nil {
			return err
		}
		n, err := results[1].AsInt64()
		if err == nil && n < int64(s.opts.Replicas) {
			err = ErrReplicas
		}
		return err
	})
	return result, err
}

// ask sends reading commands in a pipeline.
func (s *Store) ask(ctx context.Context, commands ...rueidis.Completed) ([]rueidis.RedisResult, error) {
	lane, err := s.lanes.Run(ctx)
	if err != nil {
		return nil, err
	}
	defer lane.Leave()
	return s.askNow(ctx, commands...)
}

func (s *Store) askNow(ctx context.Context, commands ...rueidis.Completed) ([]rueidis.RedisResult, error) {
	if err := s.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	ctx, cancel := calls.Bounded(ctx, s.opts.Timeout)
	defer cancel()
	results := s.client.DoMulti(ctx, commands...)
	for i := range results {
		if err := results[i].Error(); err != nil && !rueidis.IsRedisNil(err) {
			return nil, unavailable(err)
		}
	}
	return results, nil
}

// scriptTime returns the time that a script must use; "" means the server's.
func (s *Store) scriptTime() string {
	if now := s.clock.Fixed(); now != nil {
		return strconv.FormatInt(*now, 10)
	}
	return ""
}

// learn processes the time of a response to a request that was sent at asked.
func (s *Store) learn(asked time.Duration, r *reader) {
	now := r.int()
	if r.err != nil {
		return
	}
	r.at = fromMillis(now)
	s.clock.Learn(asked, now)
}

// scriptCall returns a call whose result is ignored.
func (s *Store) scriptCall(sc *script, key string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		// A caller that gives up must not end it halfway.
		ctx, cancel := calls.Bounded(ctx, s.opts.Timeout)
		defer cancel()
		_, err := s.runNow(ctx, sc, key, args...)
		return err
	}
}

// concurrently makes calls concurrently.
func concurrently(ctx context.Context, calls []func(context.Context) error) error {
	var all errgroup.Group
	for _, call := range calls {
		all.Go(func() error { return call(ctx) })
	}
	return all.Wait()
}
