package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/whichlayer/whichlayer/alert"
)

// signature signs a message as Standard Webhooks say: HMAC-SHA256 over its ID, the time in seconds since 1970 and the body, with dots between.
func signature(key []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// deliveryID names a message, the same each time it is sent. It has no dot, which separates it from what is signed with it.
func deliveryID(n alert.Notification) string {
	e := n.Event
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%t\n%t", e.Incident.ID, n.Transition, stamp(&e.Time), n.Reminder, n.Whole))
	return "msg_" + hex.EncodeToString(sum[:16])
}
