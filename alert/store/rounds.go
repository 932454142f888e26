package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

const (
	// A chunk holds at most so many rounds, which began within so long.
	chunkRounds = 50
	chunkTime   = 10 * time.Minute
	// maxChunk bounds how many rounds are read of a chunk.
	maxChunk = 1000
)

// chunk is some rounds of one target in the form of a recording, packed.
type chunk struct {
	target string
	// first is when the first round began, last when the last one ended.
	first, last int64
	n           int
	data        []byte
}

// chunks packs rounds by target. A round that a recording does not take is left out.
func (c *codec) chunks(rounds []probe.RecordedRound) (out []chunk, err error) {
	byTarget := map[string][]*probe.RecordedRound{}
	var order []string
	for i := range rounds {
		name := rounds[i].Result.Target
		if byTarget[name] == nil {
			order = append(order, name)
		}
		byTarget[name] = append(byTarget[name], &rounds[i])
	}
	for _, target := range order {
		for all := byTarget[target]; len(all) > 0; {
			n := 1
			for n < min(chunkRounds, len(all)) && all[n].Result.Started.Sub(all[0].Result.Started).Abs() <= chunkTime {
				n++
			}
			x, err := c.chunk(target, all[:n])
			if err != nil {
				return nil, err
			}
			if x.n > 0 {
				out = append(out, x)
			}
			all = all[n:]
		}
	}
	return out, nil
}

func (c *codec) chunk(target string, rounds []*probe.RecordedRound) (chunk, error) {
	x := chunk{target: target}
	var plain bytes.Buffer
	w, err := probe.NewRecordingWriter(&plain, "", rounds[0].Result.Started)
	if err != nil {
		return x, err
	}
	for _, r := range rounds {
		if w.Write(&r.Result, r.Verdict) != nil {
			continue // it wrote nothing
		}
		if began := nanos(r.Result.Started); x.n == 0 || began < x.first {
			x.first = began
		}
		x.last = max(x.last, nanos(r.Result.Ended))
		x.n++
	}
	x.data = c.pack(plain.Bytes())
	return x, nil
}

// open unpacks a chunk.
func (c *codec) open(data []byte) (out []probe.RecordedRound, err error) {
	plain, err := c.unpack(data)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(plain, []byte("{")) { // a reader of recordings would unpack gzip, too, without a bound
		return nil, errors.New("no recording")
	}
	r := probe.NewRecordingReader("rounds", bytes.NewReader(plain))
	for len(out) < maxChunk {
		round, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *round)
	}
	return nil, fmt.Errorf("more than %d rounds", maxChunk)
}

// Rounds implements alert.Store. A chunk that is damaged is left out.
func (d *DB) Rounds(ctx context.Context, target string, from, to time.Time, limit int) ([]probe.RecordedRound, error) {
	db, err := d.reader()
	if err != nil {
		return nil, err
	}
	found, err := db.QueryContext(ctx, "SELECT first, data FROM rounds WHERE target = ? AND first >= ? AND first <= ? ORDER BY first DESC",
		target, nanos(from.Add(-chunkTime)), nanos(to))
	if err != nil {
		return nil, fmt.Errorf("read rounds: %w", err)
	}
	out, err := d.collect(found, target, func(r *probe.RecordedRound) bool {
		return !r.Result.Started.Before(from) && !r.Result.Started.After(to)
	}, limit)
	if err := errors.Join(err, found.Err(), found.Close()); err != nil {
		return nil, fmt.Errorf("read rounds of %q: %w", target, err)
	}
	return out, nil
}

// collect takes what is wanted of chunks, of which the last one comes first.
func (d *DB) collect(found *sql.Rows, target string, wanted func(*probe.RecordedRound) bool, limit int) (out []probe.RecordedRound, err error) {
	for len(out) < limit && found.Next() {
		var first int64
		var data []byte
		if err := found.Scan(&first, &data); err != nil {
			return nil, err
		}
		some, err := d.codec.open(data)
		if err != nil {
			d.log.Error("rounds that were kept are damaged and left out", "target", target, "from", instant(first), "error", err)
		}
		for _, r := range slices.Backward(some) {
			if wanted(&r) {
				out = append(out, r)
			}
		}
	}
	slices.Reverse(out)
	return out[max(0, len(out)-limit):], nil
}
