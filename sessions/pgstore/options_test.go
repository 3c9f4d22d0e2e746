package pgstore

import "testing"

// TestAWayInTheClearIsWarnedOf reads configurations as Open does.
func TestAWayInTheClearIsWarnedOf(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"host=db.example.com":                            "db.example.com",
		"host=db.example.com sslmode=disable":            "db.example.com",
		"host=db.example.com sslmode=prefer":             "db.example.com",
		"host=db.example.com sslmode=require":            "db.example.com",
		"host=db.example.com sslmode=verify-full":        "",
		"postgres://a@192.0.2.1/x?sslmode=allow":         "192.0.2.1",
		"host=127.0.0.1,db2.example.com sslmode=disable": "db2.example.com",
		"host=127.0.0.1":                                 "",
		"postgres://[::1]/x?sslmode=disable":             "",
		"host=localhost sslmode=disable":                 "",
		"host=/var/run/postgresql":                       "",
	} {
		opts := Options{DSN: dsn}
		opts.defaults()
		config, err := opts.listener()
		if err != nil {
			t.Fatal(dsn, err)
		}
		if got := exposed(config); got != want {
			t.Errorf("%s: exposed is %q, not %q", dsn, got, want)
		}
	}
}
