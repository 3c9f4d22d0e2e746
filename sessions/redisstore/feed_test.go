package redisstore

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/redis/rueidis"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/revocation"
	"authsidecar/sessions/rowcodec"
	"authsidecar/sessions/storetest"
)

// TestOthersAreNotHeard: of another prefix, of another database.
func TestOthersAreNotHeard(t *testing.T) {
	t.Parallel()
	here, there := openStore(t, Options{}), openStore(t, Options{})
	elsewhere := openStore(t, Options{URL: server(t).URL(1), Prefix: here.opts.Prefix})
	sink, _ := sharedtest.Follow(t, here)
	for i, s := range []*Store{there, elsewhere, here} {
		row := sharedtest.Create(t, s, sharedtest.Row(fmt.Sprint(i), s.Now()))
		if _, _, err := s.Revoke(ctx(), row.Key(), sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
	mine := sharedtest.Row("2", storetest.Epoch)
	sink.WaitRevoked(t, mine.Key())
	sink.Read(func(h *sharedtest.Heard) {
		if len(h.Revoked) != 1 {
			t.Errorf("heard are %v", h.Revoked)
		}
	})
}

// TestWhatCannotBeReadIsLookedUp says on the channel what a newer release might.
func TestWhatCannotBeReadIsLookedUp(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"something new", "r 5 new", "c 5 " + label(sessions.Key{Realm: "r", ID: "c"}) + `{"v": 1000}`} {
		s := openStore(t, Options{})
		sink, ended := sharedtest.Follow(t, s)
		row := sharedtest.Create(t, s, sharedtest.Row("silent", s.Now()))
		at := s.Now()
		c := revocation.Cutoff{ID: "c", Realm: "r", At: at, Filter: sessions.Filter{User: "u"}}
		data, err := rowcodec.EncodeCutoff(&c)
		if err != nil {
			t.Fatal(err)
		}
		b := s.client.B()
		for _, command := range []rueidis.Completed{
			b.Zadd().Key(s.keys.log(0)).ScoreMember().ScoreMember(float64(at.UnixMilli()), label(row.Key())).Build(),
			b.Hset().Key(s.keys.cutoffs()).FieldValue().FieldValue(cutoffField(&c), string(data)).Build(),
			b.Publish().Channel(s.feed).Message(payload).Build(),
		} {
			if err := s.client.Do(ctx(), command).Error(); err != nil {
				t.Fatal(err)
			}
		}
		sink.Wait(t, "looked up", func(h *sharedtest.Heard) bool {
			return h.Revoked[row.Key()].Equal(at) && reflect.DeepEqual(h.Cutoffs["c"], c)
		})
		select {
		case err := <-ended:
			t.Errorf("the feed ended: %v", err)
		default:
		}
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("", "r")
	f.Add("a\x00\xff\x00", "\x00")
	f.Fuzz(func(t *testing.T, realm, text string) {
		_, _, _ = cutLabel(text)
		_, _ = parseScanned(text)
		_, _, _ = parseDue(text)
		_, _, _ = parseEntry(text)
		_, _ = decode(sessions.Key{}, text)
		row := sessions.Session{Realm: realm, ID: text, CreatedAt: storetest.Epoch}
		if key, rest, ok := cutLabel(label(row.Key()) + "rest"); !ok || key != row.Key() || rest != "rest" {
			t.Errorf("%q is read as %q, %q", row.Key(), key, rest)
		}
		m := newRef(&row, 5)
		created, id, ok := parseEntry(m.entry())
		if id != text || !created.Equal(storetest.Epoch) || !ok {
			t.Errorf("the entry of %q is %q", row.Key(), m.entry())
		}
		scanned, ok := parseScanned(m.scanned())
		key, named := scanned.key(map[string]string{hashRealm(realm): realm})
		if scanned.user = m.user; !ok || !named || scanned != m || key != row.Key() {
			t.Errorf("the mark of %q is read as %q of %q", row.Key(), scanned, key)
		}
		due, at, ok := parseDue(m.due(never))
		due.created, due.actor = m.created, m.actor
		if !ok || due != m || at != never {
			t.Errorf("the mark of %q is read as %q", row.Key(), due)
		}
	})
}
