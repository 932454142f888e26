package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/whichlayer/whichlayer/probe"
)

// recordingBegin is how the first line of a recording begins.
const recordingBegin = `{"whichlayer":"recording",`

// recordingStart is what a header tells.
type recordingStart struct {
	version string
	started time.Time
}

// recordingFile is one file that is written to. It is open only while it is, so that thousands of targets need no
// descriptors.
type recordingFile struct {
	path string
	day  string
	size int64 // 0: it does not exist yet
}

// encodeRounds makes lines of rounds, with a header before them if start says what is in it. Rounds that cannot be
// recorded are left out; the error names the first of them.
func encodeRounds(rounds []recorded, start *recordingStart) (lines []byte, written int, failed error) {
	var b bytes.Buffer
	w := probe.ContinueRecording(&b)
	if start != nil {
		if w, failed = probe.NewRecordingWriter(&b, start.version, start.started); failed != nil {
			return nil, 0, failed
		}
	}
	for _, r := range rounds {
		if err := w.Write(r.result, r.verdict); err == nil {
			written++
		} else if failed == nil {
			failed = err
		}
	}
	return b.Bytes(), written, failed
}

// write appends lines. If the disk takes only a part of them the file is cut back, so that it always ends with a line.
func (f *recordingFile) write(lines []byte) error {
	mode := os.O_WRONLY | os.O_APPEND
	if f.size == 0 {
		mode |= os.O_CREATE | os.O_EXCL
	}
	file, err := os.OpenFile(f.path, mode, 0o600)
	if err != nil {
		return fmt.Errorf("open a recording: %w", err)
	}
	n, err := file.Write(lines)
	if err != nil {
		err = fmt.Errorf("write a recording: %w", err)
		if e := f.cutBack(file, n); e != nil {
			err = errors.Join(err, e)
			f.size += int64(n)
		}
		return errors.Join(err, file.Close())
	}
	f.size += int64(n)
	if err := file.Close(); err != nil {
		return fmt.Errorf("close a recording: %w", err)
	}
	return nil
}

// cutBack removes the n bytes that were written last; a file that was empty before goes.
func (f *recordingFile) cutBack(file *os.File, n int) error {
	if f.size == 0 {
		return os.Remove(f.path)
	}
	if n == 0 {
		return nil
	}
	return file.Truncate(f.size)
}

// continueFile prepares to append to a file that need not exist, but if it does must be a whole recording.
func continueFile(path string) (*recordingFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("record to %s: its directory does not exist", path)
		}
		return &recordingFile{path: path}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open a recording: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open a recording: %w", err)
	}
	if !beginsRecording(f) {
		return nil, fmt.Errorf("record to %s: it is there and is no recording", path)
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err != nil || last[0] != '\n' {
		return nil, fmt.Errorf("record to %s: it ends within a line, nothing can follow; name another file", path)
	}
	return &recordingFile{path: path, size: info.Size()}, nil
}

func beginsRecording(f io.ReaderAt) bool {
	begin := make([]byte, len(recordingBegin))
	n, _ := f.ReadAt(begin, 0)
	return string(begin[:n]) == recordingBegin
}
