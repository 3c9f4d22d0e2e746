package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// lockTable holds the table of sessions until it is released.
func (s *Store) lockTable(locked chan<- struct{}, release <-chan struct{}) func(context.Context, *pgconn.PgConn) error {
	return func(ctx context.Context, conn *pgconn.PgConn) error {
		if _, err := conn.Exec(ctx, "BEGIN; LOCK TABLE "+s.sql.schema+".sessions IN ACCESS EXCLUSIVE MODE").ReadAll(); err != nil {
			return err
		}
		close(locked)
		<-release
		_, err := conn.Exec(ctx, "ROLLBACK").ReadAll()
		return err
	}
}
