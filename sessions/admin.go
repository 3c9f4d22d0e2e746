package sessions

// adminSubject is who ended a session, in events, where whoever runs the server
// did. It has no issuer: so it is no caller's name.
const adminSubject = "admin"

// Operator returns the rights of whoever runs the server: over every session of the
// realm. What it ends is ended by adminSubject. A filter that names nothing selects
// nothing for it.
func (m *Manager) Operator() *Rights {
	return &Rights{
		caller: &Caller{Principal: Principal{Subject: adminSubject}},
		manage: []Rule{{Name: adminSubject, When: everySession{}}},
	}
}

// everySession holds for all of them.
type everySession struct{}

// Holds reports true.
func (everySession) Holds(*RuleInput) bool { return true }

// Claims names none.
func (everySession) Claims() (names []string, all bool) { return nil, false }

// PerSession reports false: it is the same for each.
func (everySession) PerSession() bool { return false }

// Interface guards
var _ Condition = everySession{}
