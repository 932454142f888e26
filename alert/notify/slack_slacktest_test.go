package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slacktest"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// slackServer is the library's own fake, which has no chat.update and no files.
type slackServer struct {
	*slacktest.Server

	mu      sync.Mutex
	posts   []slack.Message
	edits   []slack.Message
	uploads []string
}

func newSlackServer(t *testing.T) *slackServer {
	s := &slackServer{}
	s.Server = slacktest.NewTestServer(func(c slacktest.Customize) {
		c.Handle("/chat.postMessage", s.record(&s.posts))
		c.Handle("/chat.update", s.record(&s.edits))
		c.Handle("/files.getUploadURLExternal", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"ok":true,"upload_url":%q,"file_id":"F1"}`, s.GetAPIURL()+"upload")
		})
		c.Handle("/upload", func(_ http.ResponseWriter, r *http.Request) {
			if file, header, err := r.FormFile("file"); err == nil {
				content, _ := io.ReadAll(file)
				s.mu.Lock()
				defer s.mu.Unlock()
				s.uploads = append(s.uploads, header.Filename+" "+string(content))
			}
		})
		c.Handle("/files.completeUploadExternal", func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.uploads = append(s.uploads, "in "+r.FormValue("channel_id")+" "+r.FormValue("thread_ts"))
			fmt.Fprint(w, `{"ok":true,"files":[{"id":"F1"}]}`)
		})
	})
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// record reads a message as Slack would: what it cannot read it refuses.
func (s *slackServer) record(to *[]slack.Message) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m := slack.Message{}
		m.Channel, m.Text, m.Timestamp, m.ThreadTimestamp = r.FormValue("channel"), r.FormValue("text"), r.FormValue("ts"), r.FormValue("thread_ts")
		if a := r.FormValue("attachments"); a != "" && json.Unmarshal([]byte(a), &m.Attachments) != nil {
			fmt.Fprint(w, `{"ok":false,"error":"invalid_attachments"}`)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if m.Timestamp == "" {
			m.Timestamp = fmt.Sprintf("1.%d", len(*to))
		}
		*to = append(*to, m)
		fmt.Fprintf(w, `{"ok":true,"channel":"C42","ts":%q,"text":"x"}`, m.Timestamp)
	}
}

// TestSlackAgainstSlacktest goes through an incident with the library's server, whose idea of Slack is not ours.
func TestSlackAgainstSlacktest(t *testing.T) {
	server := newSlackServer(t)
	var api config.URL
	if err := api.UnmarshalText([]byte(server.GetAPIURL())); err != nil {
		t.Fatal(err)
	}
	s, err := NewSlack(config.Receiver{Name: "ops", Slack: &config.Slack{Channel: "#ops", Token: config.NewSecret("xoxb-1"), APIURL: &api}},
		Setting{Zone: time.UTC, Memory: newRAM(), Pace: newPace(time.Microsecond), Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	for _, n := range []alert.Notification{sample(config.Opened), sample(config.Updated), sample(config.Resolved)} {
		if err := s.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Attach(t.Context(), sample(config.Opened).Event.Incident.ID, "course.txt", "The course", []byte("content")); err != nil {
		t.Error(err)
	}
	if len(server.posts) != 3 || len(server.edits) != 2 {
		t.Fatalf("%d messages and %d edits", len(server.posts), len(server.edits))
	}
	if root, reply := server.posts[0], server.posts[2]; root.Channel != "#ops" || root.ThreadTimestamp != "" || reply.Channel != "C42" || reply.ThreadTimestamp != "1.0" {
		t.Errorf("root in %q, reply in %q of %q", root.Channel, reply.Channel, reply.ThreadTimestamp)
	}
	last := server.edits[1]
	if last.Timestamp != "1.0" || last.Attachments[0].Color != green || len(last.Attachments[0].Blocks.BlockSet) < 4 {
		t.Errorf("the last edit is of %s, coloured %s", last.Timestamp, last.Attachments[0].Color)
	}
	if got, want := fmt.Sprint(server.uploads), "[course.txt content in C42 1.0]"; got != want {
		t.Errorf("uploads %s, want %s", got, want)
	}
}
