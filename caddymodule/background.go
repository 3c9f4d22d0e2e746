package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
	"authsidecar/sessions/jose"
	"authsidecar/sessions/keyring"
)

// background returns what runs until the configuration is replaced.
func (inst *instance) background() []func(context.Context) {
	var runs []func(context.Context)
	for _, t := range slices.Concat(inst.trust, inst.clients) {
		if t.run != nil {
			runs = append(runs, t.run)
		}
	}
	if len(inst.rings) > 0 {
		runs = append(runs, inst.keepKeys)
	}
	return append(runs, inst.sweepCutoffs, inst.LogIntervals)
}

// drain calls sweep with sweepBatch until nothing is left or it fails.
func drain(ctx context.Context, sweep func(context.Context, int) (int, error), failed func(error)) {
	for {
		swept, err := sweep(ctx, sweepBatch)
		if err != nil && ctx.Err() == nil {
			failed(err)
		}
		if err != nil || swept < sweepBatch {
			return
		}
	}
}

// keepKeys keeps the rings in sync with the storage, so that a node sees the keys that another
// node generated, and generates the next ones when they are due.
func (inst *instance) keepKeys(ctx context.Context) {
	periodic.Run(ctx, keySync, func() {
		if !inst.ready.Load() {
			return // they are loaded when the instance opens
		}
		for i := range inst.rings {
			r := &inst.rings[i]
			if err := inst.keys.syncRing(ctx, r); err != nil && ctx.Err() == nil {
				inst.logger.Error("signing keys could not be synchronised; the current ones stay in use",
					zap.String("issuer", inst.issuer), zap.String("use", r.name), zap.Error(err))
			}
		}
	})
}

// sweepCutoffs revokes the rows that bulk revocations left behind: at once for those made on this
// node, and in turn for those made on others.
func (inst *instance) sweepCutoffs(ctx context.Context) {
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		var added <-chan struct{}
		if inst.ready.Load() {
			watch := &inst.store.Load().watch
			if _, err := watch.SweepCutoffs(ctx, inst.manager, math.MaxInt); err != nil && ctx.Err() == nil {
				inst.logger.Error("revoked sessions could not be swept; they are over, and this is tried again",
					zap.String("issuer", inst.issuer), zap.Error(err))
			}
			added = watch.Added(inst.issuer)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-added:
			periodic.Wait(ctx, sweepRest) // so that one round, which reads all cutoffs, handles several
		}
	}
}

// A ringPlan is a ring of generated keys and when they change.
type ringPlan struct {
	name string
	ring *keyring.Ring
	plan keyring.Schedule
}

// addKeyring creates the rings of signing keys: from the operator's key files, or empty, to be
// filled from the storage when the instance opens.
func (inst *instance) addKeyring(h *Handler) error {
	keys := keyring.New()
	inst.keyring = keys
	longest := max(time.Duration(h.Session.MaxTTL), time.Duration(h.Impersonation.MaxTTL), keyKeep)
	uses := []struct {
		name, file, algorithm string
		ring                  *keyring.Ring
		keep                  time.Duration
	}{
		{"refresh", h.RefreshToken.Key, h.RefreshToken.Algorithm, keys.Refresh, longest},
		{"access", h.AccessToken.Key, h.AccessToken.Algorithm, keys.Access, time.Duration(h.AccessToken.TTL) + keyCache},
	}
	for _, use := range uses {
		algorithm, err := jose.ParseAlgorithm(use.algorithm)
		if err != nil {
			return fmt.Errorf("%s_token: %w", use.name, err)
		}
		if use.file != "" {
			if err := setKeyFile(use.ring, use.file, algorithm); err != nil {
				return fmt.Errorf("%s_token: key %s: %w", use.name, use.file, err)
			}
			continue
		}
		inst.rings = append(inst.rings, ringPlan{name: use.name, ring: use.ring, plan: keyring.Schedule{
			Algorithm: algorithm, Rotate: time.Duration(*h.SigningKeys.Rotate), Publish: keyPublish(), Keep: use.keep,
		}})
	}
	return nil
}

func setKeyFile(ring *keyring.Ring, file string, algorithm jose.Algorithm) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return errors.Unwrap(err) // the message already contains the path
	}
	key, err := jose.ParsePrivate(data, algorithm)
	if err != nil {
		return err
	}
	return ring.Set([]keyring.Record{{Key: key}})
}
