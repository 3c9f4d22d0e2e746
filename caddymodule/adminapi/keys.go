package adminapi

import (
	"context"
	"net/http"
)

// RefreshResult is the response to POST keys/refresh: the trusted issuers as they are now. If the
// keys of one could not be fetched, its error says why.
type RefreshResult struct {
	Trust []TrustStatus `json:"trust"`
}

// refreshKeys answers POST keys/refresh.
func refreshKeys(_ http.ResponseWriter, r *request) (any, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	answer := RefreshResult{Trust: []TrustStatus{}}
	for _, inst := range found {
		for i := range inst.Trusted {
			issuer := &inst.Trusted[i]
			var failed error
			if source, ok := issuer.Keys.(interface{ Refresh(context.Context) error }); ok {
				failed = source.Refresh(r.Context())
			}
			status := trustStatus(issuer, false)
			if failed != nil {
				status.Error = failed.Error()
			}
			answer.Trust = append(answer.Trust, status)
		}
	}
	return answer, nil
}

// RotateResult is the response to POST keys/rotate: the signing keys as they are now.
type RotateResult struct {
	SigningKeys []SigningKey `json:"signing_keys"`
}

// rotateKeys answers POST keys/rotate.
func rotateKeys(_ http.ResponseWriter, r *request) (any, error) {
	inst, err := r.instance()
	if err != nil {
		return nil, err
	}
	if inst.RotateKeys == nil {
		return nil, refuse(http.StatusConflict, "the signing keys are in files: replace refresh_token { key } and access_token { key }, and reload")
	}
	if err := inst.RotateKeys(r.Context()); err != nil {
		return nil, err
	}
	return RotateResult{signingKeys(inst.Rings, false)}, nil
}
