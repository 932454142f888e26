package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/whichlayer/whichlayer/probe"
)

// Bounds of what is recorded.
const (
	// recordingQueue bounds the rounds that wait for a slow disk: some seconds of a thousand targets.
	recordingQueue       = 4096
	defaultRecordingSize = byteSize(1 << 30)
	leastRecordingSize   = byteSize(1 << 20)
	// cryOfDisk is how often the log tells that rounds are not recorded.
	cryOfDisk = time.Minute
)

// recordFlags is what run is told about recording.
type recordFlags struct {
	dir  string
	size byteSize
}

func (f *recordFlags) addFlags(flags *pflag.FlagSet) {
	f.size = defaultRecordingSize
	flags.StringVar(&f.dir, "record", "", "keep every round as it was seen in files in `DIR`, for whichlayer replay")
	flags.Var(&f.size, "record-size", "most that the recordings in DIR may take: beyond it the oldest are deleted")
}

// check finds a flag that has nothing to act on.
func (f *recordFlags) check(flags *pflag.FlagSet) error {
	if f.dir == "" && flags.Changed("record-size") {
		return usageError{errors.New("--record-size bounds what --record DIR keeps: give that too")}
	}
	return nil
}

// recorder keeps raw rounds, so that other rules can judge them again. Record never blocks and never fails; what cannot
// be written is dropped, counted, and told in the log once a minute.
type recorder struct {
	*spool[recorded]
	files *recordingFiles // nil: nothing is recorded
}

// recorded is a round that waits to be written. The result is shared with others, and nobody changes it.
type recorded struct {
	result  *probe.Result
	verdict probe.Verdict
}

// newRecorder prepares a recorder; Open and Run follow.
func newRecorder(f recordFlags, log *slog.Logger, reg prometheus.Registerer) *recorder {
	r := &recorder{}
	room := 0
	if f.dir != "" {
		r.files, room = newRecordingFiles(f.dir, int64(f.size)), recordingQueue
	}
	r.spool = newSpool[recorded](room, cryOfDisk,
		func(lost int, why error) {
			log.Error("rounds were not recorded", "dir", f.dir, "lost", lost, "err", why)
		},
		prometheus.CounterOpts{Name: "whichlayer_recorded_rounds_total", Help: "Rounds written to recordings."},
		prometheus.CounterOpts{
			Name: "whichlayer_recorded_rounds_dropped_total", Help: "Rounds that recordings had no room for or that could not be written.",
		}, reg)
	return r
}

// Open makes the directory, so that an unusable one is known before anything starts.
func (r *recorder) Open() error {
	if r.files == nil {
		return nil
	}
	return r.files.open()
}

// Record queues one round.
func (r *recorder) Record(result *probe.Result, v probe.Verdict) {
	if r.files != nil {
		r.put(recorded{result, v})
	}
}

// Run writes until ctx ends, then what is still queued.
func (r *recorder) Run(ctx context.Context) error {
	if r.files == nil {
		return nil
	}
	for {
		select {
		case x := <-r.queue:
			r.write(x)
		case <-ctx.Done():
			for len(r.queue) > 0 {
				r.write(<-r.queue)
			}
			r.settle()
			return nil
		}
	}
}

// write writes a round and those that wait behind it, each target's with one system call.
func (r *recorder) write(first recorded) {
	rounds := map[string][]recorded{}
	for _, x := range r.batch(first) {
		rounds[x.result.Target] = append(rounds[x.result.Target], x)
	}
	for target, list := range rounds {
		n, err := r.files.add(target, list)
		r.written.Add(float64(n))
		if err != nil {
			r.drop(len(list)-n, err)
		}
	}
}

// openCheckRecording prepares what check --record writes to: a file for all targets or, in a directory, one for each.
// keep takes the rounds once they have ended. Without a path nothing is kept.
func openCheckRecording(path string) (keep func([]checked) error, err error) {
	if path == "" {
		return func([]checked) error { return nil }, nil
	}
	info, err := os.Stat(path)
	if err == nil && info.IsDir() || strings.HasSuffix(path, string(os.PathSeparator)) {
		files := newRecordingFiles(path, int64(defaultRecordingSize))
		return func(all []checked) error { return keepInDir(files, all) }, files.open()
	}
	file, err := continueFile(path)
	return func(all []checked) error { return keepInFile(file, all) }, err
}

func keepInDir(files *recordingFiles, all []checked) (err error) {
	for i := range all {
		_, e := files.add(all[i].result.Target, []recorded{{&all[i].result, all[i].verdict}})
		err = errors.Join(err, e)
	}
	return err
}

func keepInFile(file *recordingFile, all []checked) error {
	rounds := make([]recorded, len(all))
	for i := range all {
		rounds[i] = recorded{&all[i].result, all[i].verdict}
	}
	lines, _, err := encodeRounds(rounds, &recordingStart{thisBuild().Version, time.Now()})
	if err != nil {
		return err
	}
	return file.write(lines)
}

// byteSize is a number of bytes on the command line, such as 500MB or 1GiB.
type byteSize int64

var _ pflag.Value = (*byteSize)(nil)

// byteUnits are those of IEC 80000-13, the larger first.
func byteUnits() []struct {
	name string
	size float64
} {
	return []struct {
		name string
		size float64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1}, {"", 1}}
}

// String implements pflag.Value.
func (b *byteSize) String() string {
	for _, u := range byteUnits()[:4] {
		if n := float64(*b) / u.size; n >= 1 && n == float64(int64(n)) {
			return fmt.Sprintf("%.0f%s", n, u.name)
		}
	}
	return fmt.Sprintf("%dB", int64(*b))
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "SIZE" }

// Set implements pflag.Value.
func (b *byteSize) Set(text string) error {
	for _, u := range byteUnits() {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		var n float64
		var rest string
		if got, _ := fmt.Sscanf(strings.TrimSpace(digits)+" .", "%g %s", &n, &rest); got != 2 || rest != "." {
			break
		}
		if n *= u.size; math.IsNaN(n) || n < float64(leastRecordingSize) || n >= 1<<62 {
			least := leastRecordingSize
			return fmt.Errorf("%q is out of range, expected at least %s", text, &least)
		}
		*b = byteSize(n)
		return nil
	}
	return fmt.Errorf("%q is not a size, expected something like 500MB or 1GiB", text)
}
