package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"time"
)

const (
	// lookRows is how many chunks of rounds are looked at before those of them that go are deleted.
	lookRows = 10_000
	// longChunk is longer than any chunk, with what is kept after an incident's end.
	longChunk = time.Hour
)

// span is a time from which rounds are kept, in nanoseconds.
type span struct{ from, to int64 }

// boringRounds deletes rounds that ended before a time and lie around no incident: with a sweep all, else those that ended
// since the last time.
func (d *DB) boringRounds(ctx context.Context, db *sql.DB, before time.Time, sweep bool) error {
	since := int64(math.MinInt64)
	if !sweep && !d.judged.IsZero() {
		since = nanos(d.judged)
	}
	kept, err := spans(ctx, d.read, since)
	if err != nil {
		return err
	}
	at := cursor{last: since}
	for more := true; more; {
		var found []key
		if found, more, err = at.boring(ctx, d.read, nanos(before), kept); err != nil {
			return err
		}
		if err := drop(ctx, db, found, dropRounds); err != nil {
			return err
		}
	}
	d.judged = before
	return nil
}

// spans are when each target's rounds are kept, of those that ended since a time: in their order, without overlap.
func spans(ctx context.Context, db *sql.DB, since int64) (map[string][]span, error) {
	out := map[string][]span{}
	err := rows(ctx, db, findSpans, []any{max(since, math.MinInt64+int64(longChunk)) - int64(longChunk)}, func(r *sql.Rows) error {
		var target string
		var from int64
		var to sql.NullInt64
		err := r.Scan(&target, &from, &to)
		s := span{max(from, math.MinInt64+int64(roundsBefore)) - int64(roundsBefore), math.MaxInt64}
		if to.Valid {
			s.to = min(to.Int64, math.MaxInt64-int64(roundsAfter)) + int64(roundsAfter)
		}
		out[target] = append(out[target], s)
		return err
	})
	for target, all := range out {
		out[target] = merged(all)
	}
	return out, err
}

func merged(all []span) []span {
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	n := 0
	for _, s := range all[1:] {
		if s.from <= all[n].to {
			all[n].to = max(all[n].to, s.to)
		} else {
			n++
			all[n] = s
		}
	}
	return all[:n+1]
}

// touches tells that a time lies in one of the spans at least in part.
func touches(all []span, first, last int64) bool {
	i, _ := slices.BinarySearchFunc(all, first, func(s span, first int64) int {
		if s.to < first {
			return -1
		}
		return 1
	})
	return i < len(all) && all[i].from <= last
}

// cursor is how far the chunks were looked at, in the order of their ends.
type cursor struct {
	last   int64
	target string
	first  int64
}

// boring looks at the next chunks that ended before a time, and returns those that touch no span.
func (c *cursor) boring(ctx context.Context, db *sql.DB, before int64, kept map[string][]span) (found []key, more bool, err error) {
	n := 0
	err = rows(ctx, db, findRounds, []any{c.last, c.target, c.first, before, lookRows}, func(r *sql.Rows) error {
		n++
		err := r.Scan(&c.target, &c.first, &c.last)
		if !touches(kept[c.target], c.first, c.last) {
			found = append(found, key{c.target, c.first})
		}
		return err
	})
	slices.SortFunc(found, key.compare) // those that lie in one page go together
	return found, n == lookRows, err
}
