package store

import (
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// version1 is a state directory that the first version wrote.
func version1(t *testing.T) string {
	t.Helper()
	f, err := os.Open("testdata/version1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, fileName), data)
	return dir
}

// TestMigrate: a file of the first version is brought up to date with all that is in it: three incidents, of which the
// second one goes on, each with an event (the first one's twice), a delivery (the second one's was sent) and a round.
func TestMigrate(t *testing.T) {
	dir := version1(t)
	if _, err := OpenReadOnly(t.Context(), dir); !errors.Is(err, errVersion) || !strings.Contains(err.Error(), "whichlayer run") {
		t.Errorf("read an old one: %v", err)
	}
	d := opened(t, dir)
	saved := load(t, d)
	if saved.Trouble != "" || saved.Seq != 3 || len(saved.Deliveries) != 2 || len(saved.State) != 3 || string(saved.State["seat/orders"]) != `{"a":1}` {
		t.Errorf("%+v", saved)
	}
	incidents, err := d.Incidents(t.Context(), Filter{})
	if err != nil || len(incidents) != 3 {
		t.Fatalf("%d incidents, %v", len(incidents), err)
	}
	for i, x := range incidents {
		story, err := d.Incident(t.Context(), x.ID)
		if err != nil || len(story.Events) != 1 || len(story.Deliveries) != 1 || story.Deliveries[0].Seq != int64(i+1) || len(story.Incident.Timeline) != 2 {
			t.Errorf("the story of %q: %+v, %v", x.ID, story, err)
		}
	}
	over, err := d.Incidents(t.Context(), Filter{From: noon.AddDate(1, 0, 0)})
	if err != nil || len(over) != 1 || over[0].ID != incidents[1].ID {
		t.Errorf("those that go on: %v, %v", over, err)
	}
	found, err := d.Incidents(t.Context(), Filter{Layer: incidents[2].Verdict.Layer})
	if err != nil || len(found) != 1 || found[0].ID != incidents[2].ID {
		t.Errorf("by layer: %v, %v", found, err)
	}
	rounds, err := d.Rounds(t.Context(), "orders", noon, noon.AddDate(0, 0, 1), 10)
	history, err2 := d.History(t.Context(), "orders", noon, noon.AddDate(0, 0, 1))
	if len(rounds) != 3 || len(history) != 3 {
		t.Errorf("%d rounds, %d spans; %v %v", len(rounds), len(history), err, err2)
	}
	commit(t, d, numbered(4))
	if saved := load(t, d); saved.Seq != 4 || len(saved.Deliveries) != 3 {
		t.Errorf("afterwards: %+v", saved)
	}
}

// TestWrongVersion: a file that is not of the version that it says is damaged.
func TestWrongVersion(t *testing.T) {
	for _, version := range []int{-1, 0, 1} {
		dir := t.TempDir()
		d, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.write.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if saved := load(t, opened(t, dir)); !strings.Contains(saved.Trouble, "damaged") {
			t.Errorf("%d: %+v", version, saved)
		}
	}
}

// TestNewer: a file of a newer version is left alone.
func TestNewer(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.write.Exec(fmt.Sprintf("PRAGMA user_version = %d", len(steps)+1)); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err1 := Open(t.Context(), Options{Dir: dir})
	_, err2 := OpenReadOnly(t.Context(), dir)
	for _, err := range []error{err1, err2} {
		if err == nil || !strings.Contains(err.Error(), "newer whichlayer") {
			t.Errorf("got %v", err)
		}
	}
	if aside, _ := filepath.Glob(filepath.Join(dir, "*corrupt*")); len(aside) > 0 {
		t.Errorf("moved aside: %v", aside)
	}
}

// TestDictionary: what was packed yesterday can be unpacked tomorrow only if the dictionary stays as it is.
func TestDictionary(t *testing.T) {
	const want = "03e1be94267a96a4b2dd142f987dbe8084b768ca385cf37d6627aae4bab9dba1"
	if got := fmt.Sprintf("%x", sha256.Sum256(dictionary)); got != want {
		t.Errorf("the dictionary changed: its SHA-256 is %s", got)
	}
}
