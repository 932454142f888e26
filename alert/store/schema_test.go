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

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/alert"
)

// version1 is what the first version wrote: the parts of whole, one event twice.
func version1(t *testing.T) (dir string, want *alert.Batch) {
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
	dir = t.TempDir()
	put(t, filepath.Join(dir, fileName), data)
	want = whole()
	for i, state := range []alert.State{alert.Resolved, alert.Open, alert.Dismissed} {
		want.Incidents[i].State = state
	}
	return dir, want
}

// TestMigrate: a file of the first version is brought up to date with all that is in it.
func TestMigrate(t *testing.T) {
	dir, want := version1(t)
	if _, err := OpenReadOnly(t.Context(), dir); !errors.Is(err, errVersion) || !strings.Contains(err.Error(), "whichlayer run") {
		t.Errorf("read an old one: %v", err)
	}
	d := opened(t, dir)
	if saved := load(t, d); saved.Trouble != "" || saved.Seq != 3 || len(saved.Deliveries) != 2 {
		t.Fatalf("%+v", saved)
	}
	for i, x := range want.Incidents {
		story, err := d.Incident(t.Context(), x.ID)
		if err != nil || len(story.Events) != 1 || len(story.Deliveries) != 1 || story.Deliveries[0].Seq != int64(i+1) {
			t.Fatalf("the story of %q: %+v, %v", x.ID, story, err)
		}
		if diff := cmp.Diff(x.Timeline, story.Incident.Timeline); diff != "" {
			t.Error(diff)
		}
	}
	over, err := d.Incidents(t.Context(), Filter{From: noon.AddDate(1, 0, 0)})
	if err != nil || len(over) != 1 || over[0].ID != want.Incidents[1].ID {
		t.Errorf("those that go on: %v, %v", over, err)
	}
	found, err := d.Incidents(t.Context(), Filter{Layer: want.Incidents[0].Verdict.Layer})
	if err != nil || len(found) != 1 {
		t.Errorf("by layer: %v, %v", found, err)
	}
	for _, x := range want.Incidents {
		x.State = alert.Suspected
	}
	want.Deliveries[0].Error = "later"
	commit(t, d, want)
	compare(t, d, want)
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
