package caddymodule

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// background returns what runs until the configuration is replaced.
func (inst *instance) background() []func(context.Context) {
	var runs []func(context.Context)
	for _, t := range inst.trust {
		if t.run != nil {
			runs = append(runs, t.run)
		}
	}
	if len(inst.rings) > 0 {
		runs = append(runs, inst.keepKeys)
	}
	runs = append(runs, inst.sweepCutoffs)
	return runs
}

// keepKeys follows the storage, so that a node sees the keys that another made,
// and makes the next ones when they are due.
func (inst *instance) keepKeys(ctx context.Context) {
	ticker := time.NewTicker(keySync)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for i := range inst.rings {
			r := &inst.rings[i]
			if err := inst.keys.syncRing(ctx, r.ring, r.name, &r.plan); err != nil && ctx.Err() == nil {
				inst.logger.Error("signing keys could not be synchronised; the present ones go on",
					zap.String("issuer", inst.issuer), zap.String("use", r.name), zap.Error(err))
			}
		}
	}
}

// sweepCutoffs ends the rows that bulk revocations left, in small steps.
func (inst *instance) sweepCutoffs(ctx context.Context) {
	ticker := time.NewTicker(sweepPause)
	defer ticker.Stop()
	for {
		for {
			if err := inst.manager.LoadCutoffs(ctx); err != nil && ctx.Err() == nil {
				inst.logger.Error("revocations of others could not be read; this is tried again",
					zap.String("issuer", inst.issuer), zap.Error(err))
			}
			ended, err := inst.manager.SweepCutoffs(ctx, sweepBatch)
			if err != nil && ctx.Err() == nil {
				inst.logger.Error("revoked sessions could not be swept; they are over, and this is tried again",
					zap.String("issuer", inst.issuer), zap.Error(err))
			}
			if err != nil || ended < sweepBatch {
				break
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
