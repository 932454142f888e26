package probe_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/whichlayer/whichlayer/probe"
)

// FuzzRecording reads foreign bytes as a recording and judges what comes out of it: never a panic, never a round that
// could not be written again.
func FuzzRecording(f *testing.F) {
	f.Add([]byte(realHeader + realRound + "\n" + realRound))
	f.Add([]byte(`{"event":"result","time":"2026-11-22T14:03:10Z","target":"orders","verdict":{"state":"down"},"lanes":[{"lane":"front",` +
		`"stages":[{"stage":"tls","outcome":"failed","started":"2026-11-22T14:03:07Z","duration_seconds":3}]}]}`))
	for _, lane := range []string{
		`{"lane":"heldopen","stages":[{"stage":"request","outcome":"ok"}]}`,
		`{"lane":"backend","http":{"status":200,"date":"2026-11-22T14:03:07Z"}}`,
		`{"lane":"control","look":"exchange","extra":true,"stages":[{"stage":"connect","outcome":"ok"}]}`,
		`{"lane":"front","look":"half_close","extra":true,"stages":[{"stage":"connect","outcome":"ok"}]}`,
	} {
		f.Add([]byte(`{"event":"result","time":"2026-11-22T14:03:10Z","target":"orders","verdict":{"state":"down"},"lanes":[{"lane":"front",` +
			`"tls":{"not_before":"2020-01-01T00:00:00Z"},"stages":[{"stage":"tls","outcome":"failed","type":"tls.cert.date_invalid",` +
			`"started":"2026-11-22T14:03:07Z","duration_seconds":3}]},` + lane + `]}`))
	}
	f.Add(zipped(f, []byte(realHeader+realRound+"\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := probe.NewRecordingReader("fuzz", bytes.NewReader(data))
		var past []*probe.Result
		for {
			r, err := reader.Next()
			var bad *probe.RecordingError
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				if !errors.As(err, &bad) || bad.Offset < 0 || bad.Offset > reader.Bytes() || bad.Line < 1 {
					t.Fatalf("no place in %d bytes: %v", reader.Bytes(), err)
				}
				break
			}
			if v := probe.Attribute(&r.Result, past); v.Rule == "" {
				t.Fatalf("no rule: %+v", v)
			}
			if err := probe.ContinueRecording(io.Discard).Write(&r.Result, r.Verdict); err != nil {
				t.Fatal(err)
			}
			past = append(past[max(0, len(past)-10):], &r.Result)
		}
		for _, n := range reader.Notes() {
			if len(n) > 8<<10 {
				t.Fatalf("a note of %d bytes", len(n))
			}
		}
	})
}
