package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/whichlayer/whichlayer/probe"
)

const (
	// maxChunk bounds a chunk of rounds when it is unpacked, chunkRounds how many rounds one holds.
	maxChunk    = 64 << 20
	chunkRounds = 50
)

// codec packs and unpacks. It may be used by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return nil, fmt.Errorf("prepare compression: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxChunk))
	if err != nil {
		return nil, fmt.Errorf("prepare decompression: %w", err)
	}
	return &codec{enc, dec}, nil
}

func (c *codec) Close() { c.dec.Close() }

func (c *codec) pack(data []byte) []byte { return c.enc.EncodeAll(data, nil) }

func (c *codec) unpack(data []byte) ([]byte, error) {
	out, err := c.dec.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return out, nil
}

// chunk is some rounds of one target in the form of a recording, packed.
type chunk struct {
	target      string
	first, last int64
	n           int
	data        []byte
}

// chunks packs rounds by target. A round that a recording does not take is left out.
func (c *codec) chunks(rounds []probe.RecordedRound) (out []chunk, err error) {
	byTarget := map[string][]probe.RecordedRound{}
	var order []string
	for _, r := range rounds {
		if byTarget[r.Result.Target] == nil {
			order = append(order, r.Result.Target)
		}
		byTarget[r.Result.Target] = append(byTarget[r.Result.Target], r)
	}
	for _, target := range order {
		for all := byTarget[target]; len(all) > 0; {
			n := min(chunkRounds, len(all))
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

func (c *codec) chunk(target string, rounds []probe.RecordedRound) (chunk, error) {
	x := chunk{target: target}
	var plain bytes.Buffer
	w, err := probe.NewRecordingWriter(&plain, "", rounds[0].Result.Started)
	if err != nil {
		return x, err
	}
	for i := range rounds {
		r := &rounds[i]
		if w.Write(&r.Result, r.Verdict) != nil {
			continue
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
	r := probe.NewRecordingReader("rounds", bytes.NewReader(plain))
	for {
		round, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, *round)
	}
}

// Rounds implements alert.Store.
func (d *DB) Rounds(ctx context.Context, target string, from, to time.Time, limit int) ([]probe.RecordedRound, error) {
	rows, err := d.read.QueryContext(ctx, "SELECT data FROM rounds WHERE target = ? AND last >= ? AND first <= ? ORDER BY first DESC",
		target, nanos(from), nanos(to))
	if err != nil {
		return nil, fmt.Errorf("read rounds: %w", err)
	}
	defer rows.Close()
	var out []probe.RecordedRound
	for rows.Next() && len(out) < limit {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, fmt.Errorf("read rounds: %w", err)
		}
		some, err := d.codec.open(data)
		if err != nil {
			return nil, fmt.Errorf("read rounds of %q: %w", target, err)
		}
		var kept []probe.RecordedRound
		for _, r := range some {
			if !r.Result.Started.Before(from) && !r.Result.Started.After(to) {
				kept = append(kept, r)
			}
		}
		out = append(kept, out...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read rounds: %w", err)
	}
	return out[max(0, len(out)-limit):], nil
}
