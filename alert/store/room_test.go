package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/whichlayer/whichlayer/alert"
)

// TestFull: a file that may not grow is like a full disk. A commit that does not fit leaves nothing, and the next one goes
// through when there is room.
func TestFull(t *testing.T) {
	for name, dir := range map[string]string{"file": t.TempDir(), "memory": ""} {
		t.Run(name, func(t *testing.T) {
			d := opened(t, dir)
			commit(t, d, numbered(1))
			bound := func(pages int) {
				if _, err := d.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
					t.Fatal(err)
				}
			}
			bound(1) // as many as there are
			var big alert.Batch
			for n := range int64(300) {
				one := numbered(2 + n)
				big.Incidents, big.Deliveries = append(big.Incidents, one.Incidents...), append(big.Deliveries, one.Deliveries...)
			}
			for range 3 {
				if err := d.Commit(t.Context(), &big); !errors.Is(err, ErrFull) {
					t.Fatalf("got %v, want ErrFull", err)
				}
				if err := expect(t.Context(), d, 1); err != nil {
					t.Fatal(err)
				}
			}
			bound(1 << 30)
			commit(t, d, &big)
			if err := expect(t.Context(), d, 301); err != nil {
				t.Error(err)
			}
		})
	}
}

// expect requires that all up to a number can be read.
func expect(ctx context.Context, d *DB, last int64) error {
	saved, err := d.Load(ctx)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if saved.Seq != last || len(saved.Deliveries) != int(last) {
		return fmt.Errorf("%d deliveries up to %d, want %d; trouble: %q", len(saved.Deliveries), saved.Seq, last, saved.Trouble)
	}
	return nil
}
