package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"authsidecar/sessions"
)

// hidden is how many deleted entries a walk through all impersonations steps over.
func hidden(t *testing.T, s *Store) int {
	t.Helper()
	yes := true
	query := &sessions.Query{Realm: "https://app.example.com", Impersonations: &yes}
	walk, err := newSelection(query).open(ctx(), s.engine.Load(), nil, query)
	if err != nil {
		t.Fatal(err)
	}
	defer walk.indexes[0].Close()
	for at, err := walk.next(); at != nil; at, err = walk.next() {
		if err != nil {
			t.Fatal(err)
		}
	}
	steps := walk.indexes[0].Stats().ForwardStepCount
	return steps[pebble.InternalIterCall] - steps[pebble.InterfaceCall]
}

// What a bulk revocation deleted is not walked past by each listing after it.
func TestAListThatStepsOverWhatWasDeletedHasItTidiedAway(t *testing.T) {
	s := openStore(t, Options{MemTableSize: 32 << 20}) // none of it is written to a table before
	revokeImpersonations(t, s, tooManyHidden+1000)
	impersonate(t, s, 20, func(sessions.Key) {})
	if got := hidden(t, s); got <= tooManyHidden {
		t.Fatalf("only %d are hidden: nothing is proved", got)
	}
	if got := listImpersonations(t, s, 1); got != 20 {
		t.Errorf("%d are listed", got)
	}
	for start := time.Now(); hidden(t, s) > tooManyHidden/10; time.Sleep(time.Millisecond) { //nolint:forbidigo // Pebble does it in the background, and tells nobody
		if time.Since(start) > 30*time.Second {
			t.Fatalf("%d are hidden still", hidden(t, s))
		}
	}
	if got := listImpersonations(t, s, 1); got != 20 {
		t.Errorf("%d are listed then", got)
	}
}

// Whoever counts a user's sessions steps over none of those that were deleted behind them.
func TestCountingStopsWhereTheLastSessionIs(t *testing.T) {
	s := openStore(t, Options{})
	filterOf(s) // it knows all by now
	row := benchRow(1, time.Time{})
	for i := range 50 {
		row.ID = fmt.Sprint("crowded", i)
		if _, _, _, err := s.Create(ctx(), row); err != nil {
			t.Fatal(err)
		}
		if i < 45 {
			revoke(t, s, row.Key())
		}
	}
	own := false
	query := &sessions.Query{Realm: row.Realm, User: row.UserID, Impersonations: &own, Limit: 10, KeysOnly: true}
	walk, err := newSelection(query).open(ctx(), s.engine.Load(), nil, query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = walk.close(s.engine.Load()) }()
	found := 0
	for at, err := walk.next(); at != nil; at, err = walk.next() {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if steps := walk.indexes[0].Stats().ForwardStepCount[pebble.InternalIterCall]; found != 5 || steps > 10 {
		t.Errorf("%d sessions by %d steps", found, steps)
	}
}

// Pages are read by turns; who has not got theirs can stop waiting, and who counts sessions to create
// one does not wait for those who read.
func TestThoseWhoListWaitForTheirTurn(t *testing.T) {
	s := openStore(t, Options{})
	row := benchRow(1, s.Now())
	if _, _, _, err := s.Create(ctx(), row); err != nil {
		t.Fatal(err)
	}
	turns := s.engine.Load().turns
	for range cap(turns) {
		turns <- struct{}{}
	}
	query := sessions.Query{Realm: row.Realm, User: row.UserID, Limit: 1}
	counting := query
	counting.KeysOnly = true
	gone, cancel := context.WithTimeout(ctx(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.List(gone, query); !errors.Is(err, sessions.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it was nobody's turn: %v", err)
	}
	listed := make(chan error)
	go func() {
		_, err := s.List(ctx(), query)
		listed <- err
	}()
	if _, err := s.List(ctx(), counting); err != nil {
		t.Errorf("counting: %v", err)
	}
	select {
	case err := <-listed:
		t.Errorf("it went before its turn: %v", err)
	default:
	}
	<-turns
	if err := <-listed; err != nil {
		t.Errorf("its turn: %v", err)
	}
}

// Pages that never come back from a disk that died keep nobody waiting once the store is open again.
func TestAStoreThatIsOpenedAgainHasTurnsOfItsOwn(t *testing.T) {
	s := openStore(t, Options{})
	first := s.engine.Load()
	for range cap(first.turns) {
		first.turns <- struct{}{}
	}
	first.guard.kill(errors.New("the disk died"))
	soon, cancel := context.WithTimeout(ctx(), 30*time.Second)
	defer cancel()
	if _, err := s.List(soon, sessions.Query{Realm: "r", User: "alice", Limit: 1}); err != nil || s.engine.Load() == first {
		t.Errorf("listing: %v", err)
	}
}

// Who came first is served first.
func TestTurnsAreInTheOrderInWhichTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{turns: newTurns()}
		for range cap(e.turns) {
			e.turns <- struct{}{}
		}
		got := make(chan int, 10)
		for i := range cap(got) {
			go func() {
				if e.waitTurn(t.Context()) == nil {
					got <- i
				}
			}()
			synctest.Wait()
		}
		for want := range cap(got) {
			<-e.turns
			if i := <-got; i != want {
				t.Fatalf("number %d had the turn of number %d", i, want)
			}
		}
	})
}
