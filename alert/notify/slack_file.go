package notify

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"
)

const (
	// maxFile is the size in bytes of a file that goes into a thread. Larger ones are for a download.
	maxFile = 8 << 20
	// uploadTimeout bounds each request of an upload: maxFile at about 1 Mbit/s.
	uploadTimeout = time.Minute + 10*time.Second
)

// Attach puts a file or a picture of at most 8 MiB into the thread of an incident that was told before. name has the
// extension by which Slack knows what it is. It needs the scope files:write.
func (s *Slack) Attach(ctx context.Context, incident, name, title string, content []byte) error {
	switch {
	case s.api == nil:
		return permanent("attach %q: a webhook takes no files, a bot token does", name)
	case len(content) == 0 || len(content) > maxFile:
		return permanent("attach %q: it has %d bytes, allowed are 1 to %d", name, len(content), maxFile)
	}
	t, known := s.threads.get(incident)
	if !known {
		return permanent("attach %q: %w", name, errors.New("the incident "+incident+" has no message here"))
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	_, err := s.files.UploadFileContext(ctx, slack.UploadFileParameters{Reader: bytes.NewReader(content), FileSize: len(content),
		Filename: name, Title: title, AltTxt: title, Channel: t.Channel, ThreadTimestamp: t.TS})
	return slackError("attach a file", err)
}
