package redisstore

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
)

var update = flag.Bool("update", false, "write what is stored into testdata")

// golden is what this release stores; those of earlier ones are beside it, but for those of layout 1,
// which no release had. The third is the first of layout 2.
const golden = "testdata/stored-3.json"

// goldenRow is a session each field of which says something.
func goldenRow(id string) sessions.Session {
	row := sharedtest.Row(id, storetest.Epoch)
	row.Realm, row.Impersonation, row.Reason = "r\x00ü", true, "ticket 4711"
	row.Actor.Subject, row.ActorClient, row.ActorClaims = "support", "desk", sessions.Claims{"scope": "a b"}
	row.Rule, row.IP, row.UserAgent, row.RotatedFrom = "scope", "192.0.2.1", "agent/1.0", "192.0.2.2"
	row.Generation, row.RequestHash = 1<<64-2, []byte{1, 2}
	for i := range row.Secret {
		row.Secret[i], row.SecretPrev[i] = byte(i), byte(255-i)
	}
	return row
}

// dump returns all keys of a store, as commands that would make them. Bytes are as Go
// quotes them; the nonce is of the test.
func dump(t *testing.T, s *Store) (commands [][]string) {
	t.Helper()
	c := s.client
	names, err := c.Do(ctx(), c.B().Keys().Pattern(string(s.keys)+"*").Build()).AsStrSlice()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		kind, err := c.Do(ctx(), c.B().Type().Key(name).Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		command := []string{"", name}
		switch kind {
		case "hash":
			command[0] = "HSET"
			found, err := c.Do(ctx(), c.B().Hgetall().Key(name).Build()).AsStrMap()
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range slices.Sorted(keysOf(found)) {
				command = append(command, field, found[field])
			}
		case "zset":
			command[0] = "ZADD"
			found, err := c.Do(ctx(), c.B().Zrange().Key(name).Min("0").Max("-1").Withscores().Build()).AsZScores()
			if err != nil {
				t.Fatal(err)
			}
			for _, of := range found {
				command = append(command, fromMillis(int64(of.Score)).Format(time.RFC3339Nano), of.Member)
			}
		default:
			command[0] = "SET"
			value, err := c.Do(ctx(), c.B().Get().Key(name).Build()).ToString()
			if err != nil {
				t.Fatal(err)
			}
			command = append(command, value)
		}
		commands = append(commands, command)
	}
	return commands
}

func keysOf(m map[string]string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// plain and raw write bytes so that JSON has them.
func plain(commands [][]string, prefix, nonce string) (all [][]string) {
	for _, command := range commands {
		var words []string
		for _, word := range command {
			word = strings.ReplaceAll(strings.ReplaceAll(word, nonce, "NONCE..."), prefix, "PREFIX")
			words = append(words, strings.Map(func(r rune) rune { return r }, latin(word)))
		}
		all = append(all, words)
	}
	return all
}

func latin(text string) string {
	var b strings.Builder
	for i := range len(text) {
		b.WriteRune(rune(text[i]))
	}
	return b.String()
}

func raw(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteByte(byte(r))
	}
	return b.String()
}

// TestWhatIsStoredIsReadByEveryRelease compares what is stored with what this
// release stored before, puts what any release stored into another store, and reads it,
// changes it and ends it there.
func TestWhatIsStoredIsReadByEveryRelease(t *testing.T) {
	t.Parallel()
	clock := storetest.NewClock()
	s := openStore(t, Options{Now: clock.Now})
	live := sharedtest.Create(t, s, goldenRow("live"))
	ended := sharedtest.Create(t, s, goldenRow("ended"))
	if _, _, err := s.Revoke(ctx(), ended.Key(), sessions.EndRevoked); err != nil {
		t.Fatal(err)
	}
	c := revocation.Cutoff{ID: "c", Realm: "r\x00ü", At: storetest.Epoch, Filter: sessions.Filter{User: "bob"}}
	if _, err := s.AddCutoff(ctx(), c); err != nil {
		t.Fatal(err)
	}
	commands := dump(t, s)
	for _, row := range []sessions.Session{live, ended} {
		found, _, err := s.get(ctx(), row.Key())
		if err != nil {
			t.Fatal(err)
		}
		commands = raws(plain(commands, s.opts.Prefix, found.ref.nonce))
	}
	got, err := json.MarshalIndent(plain(commands, "PREFIX", "NONCE..."), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(want)) != string(got) {
		t.Errorf("stored is\n%s\nnot\n%s", got, want)
	}
	stored, err := filepath.Glob("testdata/stored-*.json")
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	for _, file := range stored {
		t.Run(filepath.Base(file), func(t *testing.T) { wantOldRead(t, file, live, ended, c) })
	}
}

func raws(commands [][]string) [][]string {
	for _, command := range commands {
		for i := range command {
			command[i] = raw(command[i])
		}
	}
	return commands
}

func wantOldRead(t *testing.T, file string, live, ended sessions.Session, c revocation.Cutoff) {
	t.Helper()
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var commands [][]string
	if err := json.Unmarshal(stored, &commands); err != nil {
		t.Fatal(err)
	}
	clock := storetest.NewClock()
	prefix := newPrefix()
	writer := openStore(t, Options{})
	for _, command := range raws(commands) {
		for i := range command {
			command[i] = strings.ReplaceAll(command[i], "PREFIX", prefix)
			if at, err := time.Parse(time.RFC3339Nano, command[i]); err == nil && command[0] == "ZADD" {
				command[i] = millis(at)
			}
		}
		if err := writer.client.Do(ctx(), writer.client.B().Arbitrary(command...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, Options{Prefix: prefix, Now: clock.Now})
	if row := sharedtest.Get(t, s, live.Key()); !reflect.DeepEqual(row, live) {
		t.Errorf("read is %+v, not %+v", row, live)
	}
	if row := sharedtest.Get(t, s, ended.Key()); row.RevokedAt != storetest.Epoch || row.EndReason != sessions.EndRevoked {
		t.Errorf("the one that was ended is %+v", row)
	}
	p := *sharedtest.Token(&live)
	next, _, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{KeyID: "k2"})
	if err != nil || !rotated || next.Generation != 1<<64-1 || next.SecretPrev != live.Secret {
		t.Errorf("rotated %t to %+v, %v", rotated, next, err)
	}
	yes := true
	for _, query := range []sessions.Query{{User: "alice"}, {Actor: &live.Actor}, {Impersonations: &yes}} {
		query.Realm, query.Limit = live.Realm, 5
		if page, err := s.List(ctx(), query); err != nil || len(page.Sessions) != 1 || page.Sessions[0].ID != "live" {
			t.Errorf("listed are %+v, %v", page.Sessions, err)
		}
	}
	if all, err := s.Cutoffs(ctx(), c.Realm); err != nil || !reflect.DeepEqual(all, []revocation.Cutoff{c}) {
		t.Errorf("cutoffs are %+v, %v", all, err)
	}
	reported := 0
	if err := s.Revoked(ctx(), storetest.Epoch, func(key sessions.Key, at time.Time) {
		if key == ended.Key() && at.Equal(storetest.Epoch) {
			reported++
		}
	}); err != nil || reported != 1 {
		t.Errorf("reported %d times, %v", reported, err)
	}
	clock.Advance(1000 * time.Hour)
	if n, err := s.Sweep(ctx(), 10, nil); n != 2 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	for _, left := range dump(t, s) {
		if !slices.Contains([]string{s.keys.cutoffs(), s.keys.place(), s.keys.layout(), s.keys.realms()}, left[1]) {
			t.Errorf("a sweep leaves %q", left)
		}
	}
}

// TestWhatANewerReleaseWroteIsLeftAlone, row, cutoff and layout.
func TestWhatANewerReleaseWroteIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	row := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	set := func(key, field, value string) {
		t.Helper()
		if err := s.client.Do(ctx(), s.client.B().Hset().Key(key).FieldValue().FieldValue(field, value).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	name := s.keys.row(rowID(row.Key()))
	found, _, err := s.get(ctx(), row.Key())
	if err != nil {
		t.Fatal(err)
	}
	newer := "\x03" + strings.Replace(found.value[1:], `{"v":1,`, `{"v":3,`, 1)
	if err := s.client.Do(ctx(), s.client.B().Set().Key(name).Value(newer).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	p := *sharedtest.Token(&row)
	_, get := s.Get(ctx(), row.Key())
	_, updating := s.Update(ctx(), row.Key(), func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		t.Error("the transition was called")
		return row, true
	})
	_, _, revoke := s.Revoke(ctx(), row.Key(), sessions.EndRevoked)
	create := sharedtest.CreateErr(s, row)
	_, list := s.List(ctx(), sessions.Query{Realm: row.Realm, User: "alice", Limit: 5})
	for name, err := range map[string]error{"Get": get, "Update": updating, "Revoke": revoke, "Create": create, "List": list} {
		if !errors.Is(err, rowcodec.ErrNewer) {
			t.Errorf("%s: %v, not ErrNewerRow", name, err)
		}
	}
	if _, _, rotated, err := s.Rotate(ctx(), &p, &sessions.Fresh{}); rotated || err != nil {
		t.Errorf("rotated %t, %v", rotated, err)
	}
	if after := dump(t, s); !reflect.DeepEqual(after, before) {
		t.Errorf("stored is %q, not %q", after, before)
	}
	set(s.keys.cutoffs(), cutoffField(&revocation.Cutoff{ID: "c", Realm: "r", At: storetest.Epoch}), `{"v":2}`)
	if _, err := s.Cutoffs(ctx(), "r"); !errors.Is(err, rowcodec.ErrNewer) {
		t.Errorf("a newer cutoff: %v", err)
	}
}

// TestAnotherLayoutIsRefusedAndLeftAsItIs: by an error that no later try mends.
func TestAnotherLayoutIsRefusedAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	for version, want := range map[string]error{"1": ErrOlder, "3": ErrNewer} {
		if err := s.client.Do(ctx(), s.client.B().Set().Key(s.keys.layout()).Value(version).Build()).Error(); err != nil {
			t.Fatal(err)
		}
		before := dump(t, s)
		if _, err := Open(ctx(), Options{URL: s.opts.URL, Prefix: s.opts.Prefix}); !errors.Is(err, want) || !errors.Is(err, sessions.ErrSetup) {
			t.Errorf("layout %s: %v", version, err)
		}
		if after := dump(t, s); !reflect.DeepEqual(after, before) {
			t.Errorf("stored is %q, not %q", after, before)
		}
	}
}

// TestKeysExpire a day after their PurgeAt, by the server's clock.
func TestKeysExpire(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	one := sharedtest.Create(t, s, sharedtest.Row("one", s.Now()))
	key := one.Key()
	want := func(what string, purge func(row *sessions.Session) time.Time) {
		t.Helper()
		at, err := s.client.Do(ctx(), s.client.B().Pexpiretime().Key(s.keys.row(rowID(key))).Build()).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		row := sharedtest.Get(t, s, key)
		// It is set to so many milliseconds from when the script gets to it, which is a little later.
		if late := time.UnixMilli(at).Sub(purge(&row).Add(time.Duration(margin) * time.Millisecond)); late < 0 || late > time.Minute {
			t.Errorf("%s: goes %v late", what, late)
		}
	}
	idle := func(after time.Duration) func(row *sessions.Session) time.Time {
		return func(row *sessions.Session) time.Time { return row.RotatedAt.Add(after) }
	}
	want("created", idle(time.Hour))
	if _, err := s.Update(ctx(), key, func(row sessions.Session, _ time.Time) (sessions.Session, bool) {
		row.Idle = 10 * time.Hour
		return row, true
	}); err != nil {
		t.Fatal(err)
	}
	want("updated", idle(10*time.Hour))
	row := sharedtest.Get(t, s, key)
	if _, _, rotated, err := s.Rotate(ctx(), sharedtest.Token(&row), &sessions.Fresh{}); !rotated || err != nil {
		t.Fatal(rotated, err)
	}
	want("rotated", idle(10*time.Hour))
	sharedtest.Revoke(t, s, key)
	want("revoked", func(row *sessions.Session) time.Time { return row.RevokedAt.Add(2 * time.Hour) })
}

// TestASweepReportsWhatWentByItself: of rows that expired since nobody swept, but
// not of those that were revoked; and nothing is left of any.
func TestASweepReportsWhatWentByItself(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"a server": server(t).URL(0), "a cluster": cluster(t).URL()} {
		t.Run(name, func(t *testing.T) {
			clock := storetest.NewClock()
			s := openStore(t, Options{Now: clock.Now, URL: url})
			over, revoked := sharedtest.Create(t, s, sharedtest.Row("over", storetest.Epoch)), sharedtest.Create(t, s, sharedtest.Row("revoked", storetest.Epoch))
			if _, _, err := s.Revoke(ctx(), revoked.Key(), sessions.EndRevoked); err != nil {
				t.Fatal(err)
			}
			for _, row := range []sessions.Session{over, revoked} {
				if err := s.client.Do(ctx(), s.client.B().Del().Key(s.keys.row(rowID(row.Key()))).Build()).Error(); err != nil {
					t.Fatal(err)
				}
			}
			clock.Advance(time.Hour + time.Duration(margin)*time.Millisecond)
			var reported []string
			if _, err := s.Sweep(ctx(), 10, func(row *sessions.Session) { reported = append(reported, row.ID) }); err != nil {
				t.Fatal(err)
			}
			if len(reported) != 1 || reported[0] != "over" {
				t.Errorf("reported are %q", reported)
			}
			for _, m := range []sessions.Session{over, revoked} {
				at := newRef(&m, 0)
				if n := indexed(t, s, &at); n != 0 {
					t.Errorf("%d entries are left of %s", n, m.ID)
				}
			}
		})
	}
}
