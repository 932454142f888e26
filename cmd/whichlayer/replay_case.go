package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/whichlayer/whichlayer/probe"
)

// caseRound is a line of a golden case: that of the event stream, and all else that was recorded.
type caseRound struct {
	Event string    `json:"event"`
	Time  time.Time `json:"time"`
	probe.Result
	Verdict probe.Verdict `json:"verdict"`
}

// writeCase writes a case for the golden test of the rules: the round with the past that it was judged with, and the
// verdict. What was really wrong is for a person to add.
func writeCase(dir string, j *judgement) error {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	var rounds []*probe.Result
	for _, r := range append(j.past, j.result) {
		slim := *r
		slim.Started = r.FirstStart() // as the golden test takes it
		rounds = append(rounds, &slim)
		verdict := probe.Attribute(&slim, rounds[:len(rounds)-1])
		if err := out.Encode(caseRound{"result", slim.Ended.UTC(), slim, verdict}); err != nil {
			return fmt.Errorf("write a case of round %d: %w", j.Number, err)
		}
	}
	last := len(rounds) - 1
	verdict, err := json.MarshalIndent(probe.Attribute(rounds[last], rounds[:last]), "", "  ")
	if err != nil {
		return fmt.Errorf("write a case of round %d: %w", j.Number, err)
	}
	name := fmt.Sprintf("%s-%d", fileStem(j.Target, j.Time), j.Number)
	comment := fmt.Sprintf("%s: what was really wrong is not said yet. Recorded at %s; judged then: %s.\n",
		name, j.Time.Format(time.RFC3339), terminal{}.clean(kindOf(j.Was).String()))
	ar := &txtar.Archive{Comment: []byte(comment), Files: []txtar.File{
		{Name: "rounds.jsonl", Data: lines.Bytes()}, {Name: "verdict.json", Data: append(verdict, '\n')},
	}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write a case of round %d: %w", j.Number, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".txtar"), txtar.Format(ar), 0o644); err != nil {
		return fmt.Errorf("write a case of round %d: %w", j.Number, err)
	}
	return nil
}
