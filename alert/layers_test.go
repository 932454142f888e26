package alert

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/whichlayer/whichlayer/config"
	"github.com/whichlayer/whichlayer/probe"
)

// TestConfigKnowsTheLayers holds the words that a receiver can ask for, which package config cannot take from package
// probe, against those that incidents are charged with.
func TestConfigKnowsTheLayers(t *testing.T) {
	var want []string
	for _, l := range probe.Layers {
		if l != probe.LayerNone {
			want = append(want, string(l))
		}
	}
	if diff := cmp.Diff(want, config.Layers()); diff != "" {
		t.Error(diff)
	}
}

// TestConfigReservesSelfTarget keeps a target from being taken for the prober itself.
func TestConfigReservesSelfTarget(t *testing.T) {
	load := func(name string) error {
		_, err := config.Parse("w.yaml", []byte("targets: [{name: "+name+", front: {url: https://a.example/}}]"))
		return err
	}
	if err := load("another"); err != nil {
		t.Fatal(err)
	}
	if err := load(SelfTarget); err == nil || !strings.Contains(err.Error(), "the name is taken") {
		t.Errorf("got %v, expected that the name is taken", err)
	}
}
