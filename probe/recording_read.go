package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// RecordingError says where a recording cannot be read, and why.
type RecordingError struct {
	File string
	// Line counts from 1, Offset from 0 in bytes; of a compressed file both are those of its content.
	Line   int
	Offset int64
	Err    error
}

func (e *RecordingError) Error() string {
	return fmt.Sprintf("%s: line %d, byte %d: %v", e.File, e.Line, e.Offset, e.Err)
}

func (e *RecordingError) Unwrap() error { return e.Err }

// Truncated tells that the file ends within a line, as that of a process that was killed does. All before it was read.
func (e *RecordingError) Truncated() bool { return errors.Is(e.Err, io.ErrUnexpectedEOF) }

// RecordingReader reads what was recorded, plain or compressed by gzip: recordings, and event streams, which hold less.
// It trusts nothing of it: a line is bounded in size and depth, and what does not fit the types is refused with the
// place.
type RecordingReader struct {
	name   string
	raw    *bufio.Reader
	in     *bufio.Reader // of the content; nil before the first line
	keys   *keyNode
	result *keyNode
	notes  *fieldNotes
	events bool
	header RecordingHeader
	rounds int
	line   int
	offset int64 // of the line's first byte
	next   int64 // of the line after it
	err    error
}

// NewRecordingReader reads r; name is how errors call it.
func NewRecordingReader(name string, r io.Reader) *RecordingReader {
	return &RecordingReader{
		name: name, raw: bufio.NewReaderSize(r, 64<<10), keys: lineKeys(), result: resultKeys(), notes: newFieldNotes(),
	}
}

// Next returns the next round. The error is io.EOF at the end, else a [*RecordingError], and the same for ever after.
func (r *RecordingReader) Next() (*RecordedRound, error) {
	for r.err == nil {
		round, err := r.read()
		if round != nil {
			r.rounds++
			return round, nil
		}
		r.err = err
	}
	return nil, r.err
}

// Line is the number of the line that was read last, from 1.
func (r *RecordingReader) Line() int { return r.line }

// Bytes is how much content was read.
func (r *RecordingReader) Bytes() int64 { return r.next }

// Header is that of the lines that are being read; zero where there was none.
func (r *RecordingReader) Header() RecordingHeader { return r.header }

// Notes say, as of now, what the file lacks and what it has that this version does not know, in sentences.
func (r *RecordingReader) Notes() (out []string) {
	if r.events {
		out = append(out, "it is an event stream, not a recording: it never has late answers, paths and the prober's own health")
	} else if r.rounds > 0 && r.header.Whichlayer == "" {
		out = append(out, "it has no header: which version recorded it is not known")
	}
	if len(r.notes.missing) > 0 {
		out = append(out, "recorded without "+strings.Join(r.notes.missing, ", "))
	}
	if len(r.notes.unknown) > 0 {
		out = append(out, "fields that this version does not know were left aside: "+strings.Join(r.notes.unknown, ", "))
	}
	return out
}

// read takes one line; without a round and without an error it held none.
func (r *RecordingReader) read() (*RecordedRound, error) {
	if r.in == nil {
		if err := r.open(); err != nil {
			return nil, r.at(0, err)
		}
	}
	r.line, r.offset = r.line+1, r.next
	line, end := r.readLine()
	if end != nil && !errors.Is(end, io.EOF) {
		return nil, r.at(0, end)
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil, end // a bare io.EOF, or an empty line
	}
	if end != nil { // the last line has no end
		var whole json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(line)).Decode(&whole); errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, r.at(len(line), fmt.Errorf("the file was cut short within this line: %w", err))
		}
	}
	return r.parse(line)
}

// open tells a compressed file by its first bytes: RFC 1952, 2.3.1.
func (r *RecordingReader) open() error {
	r.in = r.raw
	if magic, _ := r.raw.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil
	}
	z, err := gzip.NewReader(r.raw)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("gzip: %w", err)
	}
	r.in = bufio.NewReaderSize(z, 64<<10)
	return nil
}

// readLine reads one line without its end; io.EOF says that it is the last one. A line that is too long is not read to
// its end.
func (r *RecordingReader) readLine() (line []byte, err error) {
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		r.next += int64(len(part))
		switch {
		case len(line) > maxRecordingLine:
			return nil, fmt.Errorf("the line is longer than %d bytes", maxRecordingLine)
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("the compressed file was cut short: %w", err)
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// at places an error n bytes into the line.
func (r *RecordingReader) at(n int, err error) error {
	return &RecordingError{File: r.name, Line: max(r.line, 1), Offset: r.offset + int64(n), Err: err}
}

// parse takes a whole line.
func (r *RecordingReader) parse(line []byte) (*RecordedRound, error) {
	if n := invalidUTF8(line); n >= 0 {
		return nil, r.at(n, errors.New("not valid UTF-8"))
	}
	top, fault := newLineScan(r.keys, r.notes).run(line)
	if fault != nil {
		return nil, r.at(fault.at, errors.New(fault.text))
	}
	switch {
	case top["whichlayer"]:
		return nil, r.begin(line)
	case top["result"]:
		return r.round(line, top)
	case top["event"] || top["lanes"]:
		return r.event(line, top)
	}
	if err := r.decode(line, &struct{}{}); err != nil { // no JSON, or no object
		return nil, err
	}
	return nil, r.at(0, errors.New("neither a recorded round nor an event: expected a key result or event"))
}

// round takes a line of a recording.
func (r *RecordingReader) round(line []byte, top map[string]bool) (*RecordedRound, error) {
	round := &RecordedRound{}
	if err := r.decode(line, round); err != nil {
		return nil, err
	}
	r.lacks(top, "verdict")
	if err := recordable(&round.Result); err != nil {
		return nil, r.at(0, err)
	}
	return round, nil
}

// begin takes a header.
func (r *RecordingReader) begin(line []byte) error {
	var h RecordingHeader
	if err := r.decode(line, &h); err != nil {
		return err
	}
	switch {
	case h.Whichlayer != recordingMark:
		return r.at(0, fmt.Errorf("it says that it is %q, expected %q", clip(h.Whichlayer, 40), recordingMark))
	case h.Format > RecordingFormat:
		return r.at(0, fmt.Errorf("its format is %d, this version reads formats up to %d: use a newer whichlayer", h.Format, RecordingFormat))
	case h.Format < 1:
		return r.at(0, fmt.Errorf("its format is %d, expected 1 to %d", h.Format, RecordingFormat))
	}
	r.header = h
	return nil
}

// decode tells where in the line it does not fit.
func (r *RecordingReader) decode(line []byte, v any) error {
	err := json.Unmarshal(line, v)
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return r.at(int(syntax.Offset)-1, fmt.Errorf("not JSON: %w", err))
	case errors.As(err, &typed):
		return r.at(int(typed.Offset), fmt.Errorf("%s cannot be a %s", clip(typed.Field, 80), clip(typed.Value, 40)))
	case err != nil:
		return r.at(0, errors.New(clip(err.Error(), 200)))
	}
	return nil
}

// lacks notes those of the keys that the line does not have.
func (r *RecordingReader) lacks(top map[string]bool, keys ...string) {
	for _, k := range keys {
		if !top[k] {
			r.notes.missing = note(r.notes.missing, k)
		}
	}
}

// invalidUTF8 is where a line is not UTF-8, -1 if it is.
func invalidUTF8(line []byte) int {
	if utf8.Valid(line) {
		return -1
	}
	for i := 0; i < len(line); {
		c, n := utf8.DecodeRune(line[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
