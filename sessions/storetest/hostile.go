package storetest

import (
	"fmt"
	"strings"

	"authsidecar/sessions"
)

// hostile are texts that a store may confuse.
var hostile = []string{
	"a", "ab", "a\x00", "a\x00b", "\x00", "a/", "a/b", "/", "a:b", "a%", "%00", "\xff", "a\xff", "\xff\xfe", "A", "a ", " ",
	"{a}", "a\nb", "ä", "a\u0308", "..", "*", "a*", "[a]", "\\", "'", strings.Repeat("x", 255), strings.Repeat("x", 254),
}

func hostileText(s *suite) {
	for _, id := range hostile {
		s.create(s.session(id, "of many"))
	}
	for i, user := range hostile {
		row := s.impersonation(fmt.Sprint("of user ", i), "u", "u")
		// JSON has no other bytes than UTF-8: keys may hold any, rows do not.
		row.UserID, row.Actor.Subject = strings.ToValidUTF8(user, "?"), strings.ToValidUTF8(user, "?")
		s.create(row)
		row.Realm = "realm " + user
		s.create(row)
	}
	for _, id := range hostile {
		if row := s.get(sessions.Key{Realm: realm, ID: id}); row.ID != id {
			s.Errorf("%q is %q", id, row.ID)
		}
	}
	if got := len(s.list(sessions.Query{Realm: realm, User: "of many"})); got != len(hostile) {
		s.Errorf("%d of %d ids are listed", got, len(hostile))
	}
	for i, text := range hostile {
		if strings.ToValidUTF8(text, "?") != text {
			continue
		}
		id := fmt.Sprint("of user ", i)
		actor := idp(text)
		s.wantList(sessions.Query{Realm: realm, User: text}, id)
		s.wantList(sessions.Query{Realm: realm, Actor: actor}, id)
		s.wantList(sessions.Query{Realm: "realm " + text, Impersonations: yes}, id)
		split := &sessions.Principal{Issuer: actor.Issuer + text, Subject: ""}
		s.wantList(sessions.Query{Realm: realm, Actor: split})
	}
}
