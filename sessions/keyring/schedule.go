package keyring

import (
	"fmt"
	"time"

	"authsidecar/sessions/jose"
)

// A Record is a signing key and when it begins to sign; it signs until the From of the next record.
type Record struct {
	From time.Time
	Key  *jose.PrivateKey
}

// A Schedule decides when signing keys change. Its methods are pure, except that they generate
// keys.
type Schedule struct {
	// Algorithm is the algorithm of new keys.
	Algorithm jose.Algorithm
	// Rotate is how long a key signs; 0 means forever.
	Rotate time.Duration
	// Publish is how long a key is published before it signs: how long verifiers may cache the key
	// set, plus how long our own nodes take to load it.
	Publish time.Duration
	// Keep is how long a key verifies tokens after it stopped signing: the maximum lifetime of a
	// token.
	Keep time.Duration
}

// Plan returns the records to keep at now, and reports whether they differ from the given ones: it
// adds a key if there is none or the last one is due to be replaced, and drops keys whose tokens
// have all expired.
func (s *Schedule) Plan(records []Record, now time.Time) (planned []Record, changed bool, err error) {
	planned = s.prune(records, now)
	from, due := s.Due(planned, now)
	if !due {
		return planned, len(planned) != len(records), nil
	}
	planned, err = s.add(planned, from)
	return planned, true, err
}

// renewInterval is how long after Renew generated a key a second call generates no other.
const renewInterval = time.Minute

// Renew is Plan for an operator who replaces a key before it is due, for example after a leak: it
// adds a key that signs after Publish, even if the next one is already published, since that one
// may have leaked too. A second call within a minute adds no other.
func (s *Schedule) Renew(records []Record, now time.Time) (planned []Record, changed bool, err error) {
	planned = s.prune(records, now)
	from := now
	if len(planned) > 0 {
		last := planned[len(planned)-1]
		if from = now.Add(s.Publish); last.From.After(from) { // the clock was set back
			from = last.From
		}
		if last.Key.Algorithm() == s.Algorithm && from.Sub(last.From) < min(renewInterval, s.Publish) {
			return planned, len(planned) != len(records), nil
		}
	}
	planned, err = s.add(planned, from)
	return planned, true, err
}

func (s *Schedule) add(records []Record, from time.Time) ([]Record, error) {
	key, err := jose.Generate(s.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("generating signing key: %w", err)
	}
	return append(records, Record{From: from.UTC().Truncate(time.Millisecond), Key: key}), nil
}

// Due reports whether a key must be added, and when it would begin to sign.
func (s *Schedule) Due(records []Record, now time.Time) (from time.Time, due bool) {
	if len(records) == 0 {
		return now, true
	}
	last := records[len(records)-1]
	if last.From.After(now) {
		return time.Time{}, false // the next key is already published
	}
	soonest := now.Add(s.Publish)
	if last.Key.Algorithm() != s.Algorithm {
		return soonest, true
	}
	if s.Rotate <= 0 {
		return time.Time{}, false
	}
	ends := last.From.Add(s.Rotate)
	if ends.After(soonest) {
		return time.Time{}, false
	}
	return soonest, true
}

func (s *Schedule) prune(records []Record, now time.Time) []Record {
	kept := make([]Record, 0, len(records)+1)
	for i, record := range records {
		if i+1 < len(records) && records[i+1].From.Add(s.Keep).Before(now) {
			continue
		}
		kept = append(kept, record)
	}
	return kept
}
