package probe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// RecordingFormat is the number of the form in which this version writes recordings. It grows when an older version
// could misread what a newer one writes; a field that is added does not change it.
const RecordingFormat = 1

// recordingMark is how a header says what file it begins.
const recordingMark = "recording"

// RecordingHeader is the first line of a recording. It may stand in the midst of one too, where files were put
// together: what follows it was recorded by another process.
type RecordingHeader struct {
	// Whichlayer is always "recording".
	Whichlayer string `json:"whichlayer"`
	Format     int    `json:"format"`
	// Version is the program's that recorded.
	Version string `json:"version"`
	// Started is when the process began to record: the files of one process have the same.
	Started time.Time `json:"started"`
}

// RecordedRound is a line of a recording: what was seen, as it was seen, and what was concluded then.
type RecordedRound struct {
	Result  Result  `json:"result"`
	Verdict Verdict `json:"verdict"`
}

// RecordingWriter writes a recording: a header, then one JSON object per round and line. Each line is one Write. What it
// writes, a [RecordingReader] reads.
type RecordingWriter struct {
	w    io.Writer
	keys *keyNode
}

// NewRecordingWriter begins a recording; its first line is the header.
func NewRecordingWriter(w io.Writer, version string, started time.Time) (*RecordingWriter, error) {
	line, err := json.Marshal(RecordingHeader{recordingMark, RecordingFormat, version, started.UTC()})
	if err != nil {
		return nil, fmt.Errorf("begin a recording: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("begin a recording: %w", err)
	}
	return ContinueRecording(w), nil
}

// ContinueRecording goes on with a recording that has its header already.
func ContinueRecording(w io.Writer) *RecordingWriter { return &RecordingWriter{w, lineKeys()} }

// Write appends a round and the verdict on it. A round beyond the limits of the format is refused and leaves no trace.
func (w *RecordingWriter) Write(r *Result, v Verdict) error {
	line, err := w.line(r, v)
	if err == nil {
		_, err = w.w.Write(line)
	}
	if err != nil {
		return fmt.Errorf("record round %d of %q: %w", r.Round, r.Target, err)
	}
	return nil
}

// line encodes a round; what a reader would refuse is refused here.
func (w *RecordingWriter) line(r *Result, v Verdict) ([]byte, error) {
	if err := recordable(r); err != nil {
		return nil, err
	}
	line, err := json.Marshal(RecordedRound{*r, v})
	if err != nil {
		return nil, err
	}
	if len(line) >= maxRecordingLine {
		return nil, fmt.Errorf("its %d bytes are more than %d", len(line), maxRecordingLine)
	}
	if _, fault := newLineScan(w.keys, newFieldNotes()).run(line); fault != nil {
		return nil, errors.New(fault.text)
	}
	return append(line, '\n'), nil
}
