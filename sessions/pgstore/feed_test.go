package pgstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"authsidecar/sessions"
	"authsidecar/sessions/internal/sharedtest"
	"authsidecar/sessions/revocation"
)

// TestTwoSchemasDoNotHearEachOther in one database.
func TestTwoSchemasDoNotHearEachOther(t *testing.T) {
	t.Parallel()
	here, there := openStore(t, Options{}), openStore(t, Options{})
	sink, _ := sharedtest.Follow(t, here)
	other := sharedtest.Create(t, there, sharedtest.Row("other", there.Now()))
	mine := sharedtest.Create(t, here, sharedtest.Row("mine", here.Now()))
	for _, end := range []struct {
		s   *Store
		key sessions.Key
	}{{there, other.Key()}, {here, mine.Key()}} {
		if _, _, err := end.s.Revoke(ctx(), end.key, sessions.EndRevoked); err != nil {
			t.Fatal(err)
		}
	}
	sink.WaitRevoked(t, mine.Key())
	sink.Read(func(h *sharedtest.Heard) {
		if len(h.Revoked) != 1 {
			t.Errorf("heard are %v", h.Revoked)
		}
	})
}

// TestADatabaseWithoutNotifyIsPolled renames the function away.
func TestADatabaseWithoutNotifyIsPolled(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Exec(t, "postgres", "CREATE DATABASE silent")
	srv.Exec(t, "silent", "SET allow_system_table_mods = on; ALTER FUNCTION pg_catalog.pg_notify(text, text) RENAME TO pg_notify_is_gone")
	sharedtest.Everything(t, openStore(t, Options{DSN: srv.DSN("silent")}))
}

// TestWhoMayNotNotifyMayNotStart: others who listen would not hear it.
func TestWhoMayNotNotifyMayNotStart(t *testing.T) {
	t.Parallel()
	srv := server(t)
	srv.Exec(t, "postgres", "CREATE DATABASE mute")
	srv.Exec(t, "postgres", "CREATE ROLE mute LOGIN PASSWORD 'x'; GRANT CREATE ON DATABASE mute TO mute")
	srv.Exec(t, "mute", "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC")
	_, err := Open(ctx(), Options{DSN: srv.DSNOf("mute", "mute", "x")})
	if !errors.Is(err, sessions.ErrUnavailable) || !strings.Contains(err.Error(), "pg_notify") {
		t.Errorf("opened: %v", err)
	}
}

// TestWhatCannotBeReadIsLookedUp says on the channel what a newer release might.
func TestWhatCannotBeReadIsLookedUp(t *testing.T) {
	t.Parallel()
	s := openStore(t, Options{})
	sink, ended := sharedtest.Follow(t, s)
	row := sharedtest.Create(t, s, sharedtest.Row("silent", s.Now()))
	server(t).Exec(t, "postgres", fmt.Sprintf(`INSERT INTO %s.revocations VALUES ('%s', '%s', 5, %d); NOTIFY %s, 'something new'`,
		s.sql.schema, row.Realm, row.ID, s.Now().UnixMilli(), s.sql.channel))
	sink.Wait(t, "looked up", func(h *sharedtest.Heard) bool { return h.Revoked[row.Key()].Equal(fromMillis(5)) })
	select {
	case err := <-ended:
		t.Errorf("the feed ended: %v", err)
	default:
	}
}

func TestNamesAreReadStrictly(t *testing.T) {
	for _, text := range []string{"", " ", "YQ", "Y@ YQ", "YQ YQ YQ YQ", "YQ  YQ", "YQ YQ ", " YQ YQ", "YQ=="} {
		if key, data, ok := readName(text); ok {
			t.Errorf("%q is read as %+v with %q", text, key, data)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add(name(sessions.Key{Realm: "r", ID: ""}), "r")
	f.Add(cutoffNotice(&revocation.Cutoff{Realm: "r", ID: "c"}, []byte(`{"v":1}`)), "\x00")
	f.Fuzz(func(t *testing.T, text, other string) {
		_, _, _ = readName(text)
		want := sessions.Key{Realm: text, ID: other}
		if key, data, ok := readName(name(want)); !ok || key != want || data != "" {
			t.Errorf("%q is read as %q with %q", want, key, data)
		}
	})
}
