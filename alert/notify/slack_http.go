package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"github.com/whichlayer/whichlayer/alert"
	"github.com/whichlayer/whichlayer/config"
)

// maxSlackAnswer bounds an answer in bytes: Slack repeats the message, with every other character as \uXXXX.
const maxSlackAnswer = 1 << 20

// slackClient speaks Slack's API by the rule of [HTTP].
func slackClient(cfg config.Slack, token string, h *HTTP) *slack.Client {
	options := []slack.Option{slack.OptionHTTPClient(slackDoer{h})}
	if cfg.APIURL != nil {
		options = append(options, slack.OptionAPIURL(strings.TrimSuffix(cfg.APIURL.String(), "/")+"/"))
	}
	return slack.New(token, options...)
}

// slackDoer is an HTTP client that hands out whole answers only: by itself the library would read without a bound, and
// take an unfinished answer for a success where it does not care for the text.
type slackDoer struct{ *HTTP }

func (d slackDoer) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(req.Context(), d.timeout,
		fmt.Errorf("no whole answer within %v: %w", d.timeout, context.DeadlineExceeded))
	defer cancel()
	req = req.WithContext(ctx)
	req.Header.Set("User-Agent", d.agent)
	res, err := d.client.Do(req)
	if err != nil {
		return nil, bareHTTP(causeOf(ctx, err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxSlackAnswer+1))
	switch {
	case res.StatusCode < 200 || res.StatusCode > 299:
		// What such an answer says may be what it was sent: the status is enough.
		return nil, judge(res, nil, hidden{}, time.Now())
	case err != nil:
		return nil, fmt.Errorf("the answer %d breaks off: %w", res.StatusCode, causeOf(ctx, err))
	case len(body) > maxSlackAnswer:
		return nil, fmt.Errorf("the answer %d is longer than %d KiB", res.StatusCode, maxSlackAnswer>>10)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// slackError sorts an error into those that pass, those that ask for a pause and those that stay. Those of HTTP are sorted
// already.
func slackError(doing string, err error) error {
	if err == nil {
		return nil
	}
	var wait *alert.RetryAfterError
	var final *alert.PermanentError
	var status *StatusError
	var refused slack.SlackErrorResponse
	switch {
	case errors.As(err, &wait), errors.As(err, &final):
	case errors.As(err, &status) && status.Code == http.StatusTooManyRequests:
		return &alert.RetryAfterError{After: slackPause, Err: fmt.Errorf("%s: %w", doing, err)}
	case errors.As(err, &refused) && passing(refused.Err):
		return &alert.RetryAfterError{After: slackPause, Err: fmt.Errorf("%s: %w", doing, err)}
	case errors.As(err, &refused):
		return permanent("%s: slack says %w", doing, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// passing tells which of Slack's own errors may go away by themselves.
func passing(code string) bool {
	switch code {
	case "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return true
	}
	return false
}

// gone tells that a message is no longer there to be edited.
func gone(err error) bool {
	var refused slack.SlackErrorResponse
	if !errors.As(err, &refused) {
		return false
	}
	switch refused.Err {
	case "message_not_found", "cant_update_message", "edit_window_closed":
		return true
	}
	return false
}
