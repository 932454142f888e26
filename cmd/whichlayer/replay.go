package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// replayFlags is the command line of replay.
type replayFlags struct {
	config  string
	all     bool
	json    bool
	quiet   bool
	caseDir string
	rounds  []uint
}

const replayLong = `Judge recorded rounds again with the rules of this version, each with the past that its
incident has by then, and print what changed: a line for each round whose state, layer,
cause or confidence is another now, then a summary with the incidents that follow.

FILE is what 'run --record' or 'check --record' wrote, an event stream of 'run --events',
or a directory of recordings; plain or compressed by gzip; - is stdin. The files of one
target are given in the order of time, as their names sort.

Exit codes:
  0   no verdict changed
  1   at least one did
  64  the command line is wrong
  65  a file cannot be read, or holds no round; what could be read was judged
  78  the configuration is wrong`

func newReplayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "judge recorded rounds again with today's rules",
		Long:  replayLong,
		Example: `  whichlayer replay recordings/orders-*.jsonl
  whichlayer replay --all --json recordings | jq 'select(.changed)'
  whichlayer replay --case probe/testdata/cases --round 117 recordings/orders-20261122T140307Z.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error { return runReplay(cmd, &f, files) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", "", "take detect: of each target from this `FILE`, else the defaults")
	flags.BoolVarP(&f.all, "all", "a", false, "print every round")
	flags.BoolVar(&f.json, "json", false, "print one JSON object per line")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "print only the summary")
	flags.StringVar(&f.caseDir, "case", "", "write the rounds of --round as golden cases into `DIR`")
	flags.UintSliceVar(&f.rounds, "round", nil, "`N`ths of the rounds that are read, as #N in the output; with --case")
	return cmd
}

// check finds flags that contradict one another.
func (f *replayFlags) check() error {
	switch {
	case f.all && f.quiet:
		return usageError{errors.New("give only one of --all and --quiet")}
	case (f.caseDir == "") != (len(f.rounds) == 0):
		return usageError{errors.New("--case DIR and --round N go together")}
	case slices.Contains(f.rounds, 0):
		return usageError{errors.New("--round: rounds are counted from 1")}
	}
	slices.Sort(f.rounds)
	f.rounds = slices.Compact(f.rounds)
	return nil
}

// runReplay is the command: read, judge, tell, sum up.
func runReplay(cmd *cobra.Command, f *replayFlags, names []string) error {
	if err := f.check(); err != nil {
		return err
	}
	r := &replayer{flags: f, sum: newReplaySum(), judge: newJudge(config.Defaults().Detect, nil), stdin: cmd.InOrStdin(), began: time.Now()}
	if f.config != "" {
		cfg, err := loadConfig(f.config)
		if err != nil {
			return err
		}
		r.judge = newJudge(cfg.Detect, cfg.Targets)
	}
	t, err := newTerminal(cmd.OutOrStdout(), "never", os.Getenv)
	if err != nil {
		return err
	}
	r.t, r.stderr, r.buf = t, cmd.ErrOrStderr(), bufio.NewWriter(cmd.OutOrStdout())
	r.out = &replayText{r.buf, t}
	if f.json {
		r.out = &replayJSON{json.NewEncoder(r.buf)}
	}
	for _, name := range names {
		if err := r.name(name); err != nil {
			return errors.Join(r.buf.Flush(), err)
		}
	}
	return r.end()
}

// replayer reads files and has their rounds judged.
type replayer struct {
	flags *replayFlags
	judge *judge
	stdin io.Reader
	began time.Time
	// Rounds and the summary go to out by way of buf, what is to say of files to stderr.
	out    replayOutput
	buf    *bufio.Writer
	stderr io.Writer
	t      terminal

	sum   replaySum
	wrong bool // a file could not be read, or not to its end
	cases uint // written so far
}

// replayOutput is how a replay is told.
type replayOutput interface {
	round(*judgement) error
	summary(*replaySum) error
}

// name reads a file, or all recordings of a directory in the order of their names.
func (r *replayer) name(name string) error {
	if info, err := os.Stat(name); name == "-" || err != nil || !info.IsDir() {
		return r.file(name)
	}
	var files []string
	for _, pattern := range []string{"*.jsonl", "*.jsonl.gz"} {
		found, err := filepath.Glob(filepath.Join(name, pattern))
		if err != nil {
			return usageError{fmt.Errorf("%s: %w", name, err)}
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return r.cannot(errors.New(name + ": no recordings in it: no *.jsonl and no *.jsonl.gz"))
	}
	slices.Sort(files)
	for _, file := range files {
		if err := r.file(file); err != nil {
			return err
		}
	}
	return nil
}

// file reads one file. Only what cannot be told is an error: a file that is broken does not keep us from the next.
func (r *replayer) file(name string) error {
	in := r.stdin
	if name == "-" {
		name = "stdin"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return r.cannot(err)
		}
		defer f.Close()
		in = f
	}
	reader := probe.NewRecordingReader(name, in)
	rounds := 0
	var end error
	for {
		round, err := reader.Next()
		if err != nil {
			end = err
			break
		}
		rounds++
		if err := r.round(name, reader, round); err != nil {
			return err
		}
	}
	r.sum.Files++
	r.sum.Bytes += reader.Bytes()
	for _, n := range reader.Notes() {
		if err := r.note("note", name+": "+n); err != nil {
			return err
		}
	}
	return r.ended(name, rounds, end)
}

// ended tells of a file that did not end well.
func (r *replayer) ended(name string, rounds int, end error) error {
	var place *probe.RecordingError
	switch {
	case errors.As(end, &place) && place.Truncated() && rounds > 0:
		return r.note("note", end.Error()+"; all rounds before were read")
	case !errors.Is(end, io.EOF):
		return r.cannot(end)
	case rounds == 0:
		return r.cannot(errors.New(name + ": no rounds in it"))
	}
	return nil
}

// cannot tells of a file that cannot be read.
func (r *replayer) cannot(err error) error {
	r.wrong = true
	return r.note("whichlayer", err.Error())
}

// note tells of a file, whose words may be hostile.
func (r *replayer) note(who, text string) error {
	if err := r.buf.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	fmt.Fprintf(r.stderr, "%s: %s\n", who, r.t.clean(text))
	return nil
}

// round has one round judged and tells of it.
func (r *replayer) round(name string, reader *probe.RecordingReader, round *probe.RecordedRound) error {
	j, err := r.judge.round(round, reader.Header().Started)
	if err != nil {
		return r.cannot(fmt.Errorf("%s: line %d: %w", name, reader.Line(), err))
	}
	r.sum.count(j)
	j.File, j.Line, j.Number = name, reader.Line(), r.sum.Rounds
	if slices.Contains(r.flags.rounds, uint(j.Number)) {
		if err := writeCase(r.flags.caseDir, j); err != nil {
			return err
		}
		r.cases++
	}
	if r.flags.quiet || !j.Changed && !r.flags.all {
		return nil
	}
	return r.out.round(j)
}

// end sums up, and is the exit code.
func (r *replayer) end() error {
	r.sum.Seconds = time.Since(r.began).Seconds()
	r.sum.Incidents, r.sum.Dismissed = r.judge.incidents()
	r.sum.close()
	if err := errors.Join(r.out.summary(&r.sum), r.buf.Flush()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	switch {
	case r.wrong:
		return exitError{code: exitData}
	case r.cases < uint(len(r.flags.rounds)):
		return usageError{fmt.Errorf("--round: only %s of those that were asked for are there: %s were read",
			plural(int(r.cases), "round"), plural(r.sum.Rounds, "round"))}
	case r.sum.Changed > 0:
		return exitError{code: exitFailure}
	}
	return nil
}
