package caddymodule

import (
	"context"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"authsidecar/caddymodule/internal/periodic"
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
	return append(runs, inst.sweepCutoffs, inst.reports.Run)
}

// drain sweeps, sweepBatch at a time, until nothing is left or it fails.
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

// keepKeys follows the storage, so that a node sees the keys that another made,
// and makes the next ones when they are due.
func (inst *instance) keepKeys(ctx context.Context) {
	periodic.Run(ctx, keySync, func() {
		if !inst.ready.Load() {
			return // they are loaded when it opens
		}
		for i := range inst.rings {
			r := &inst.rings[i]
			if err := inst.keys.syncRing(ctx, r); err != nil && ctx.Err() == nil {
				inst.logger.Error("signing keys could not be synchronised; the present ones go on",
					zap.String("issuer", inst.issuer), zap.String("use", r.name), zap.Error(err))
			}
		}
	})
}

// sweepCutoffs ends the rows that bulk revocations left, at once where they were made here, and
// learns of those that others made.
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
			periodic.Wait(ctx, sweepRest) // for others that come together: each round reads all cutoffs
		}
	}
}
