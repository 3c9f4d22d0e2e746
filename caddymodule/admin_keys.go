package caddymodule

import (
	"context"
	"net/http"
)

// adminRefreshed answers POST keys/refresh: the trusted issuers as they are now.
// Where one could not be asked, its error says why.
type adminRefreshed struct {
	Trust []trustStatus `json:"trust"`
}

// adminRefreshKeys answers POST keys/refresh.
func adminRefreshKeys(_ http.ResponseWriter, r *adminRequest) (any, error) {
	found, err := r.instances()
	if err != nil {
		return nil, err
	}
	answer := adminRefreshed{Trust: []trustStatus{}}
	for _, inst := range found {
		for _, t := range inst.trust {
			var failed error
			if source, ok := t.issuer.Keys.(interface{ Refresh(context.Context) error }); ok {
				failed = source.Refresh(r.Context())
			}
			status := t.status(false)
			if failed != nil {
				status.Error = failed.Error()
			}
			answer.Trust = append(answer.Trust, status)
		}
	}
	return answer, nil
}

// adminRotated answers POST keys/rotate: the signing keys as they are now.
type adminRotated struct {
	SigningKeys []ringStatus `json:"signing_keys"`
}

// adminRotateKeys answers POST keys/rotate.
func adminRotateKeys(_ http.ResponseWriter, r *adminRequest) (any, error) {
	inst, err := r.instance()
	if err != nil {
		return nil, err
	}
	if len(inst.rings) == 0 {
		return nil, adminError(http.StatusConflict, "the signing keys are in files: replace refresh_token { key } and access_token { key }, and reload")
	}
	if err := inst.rotateKeys(r.Context()); err != nil {
		return nil, err
	}
	return adminRotated{inst.status(r.Context(), false).SigningKeys}, nil
}
