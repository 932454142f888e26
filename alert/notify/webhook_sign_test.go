package notify

import (
	"encoding/base64"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/whichlayer/whichlayer/config"
)

// TestSignature signs the example of Standard Webhooks' own libraries.
func TestSignature(t *testing.T) {
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	for _, secret := range []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"} {
		key, err := (&config.Webhook{Secret: config.NewSecret(secret)}).SigningKey()
		if err != nil {
			t.Fatal(err)
		}
		if got := signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestSignatureByAnother verifies a message as it was received with OpenSSL, which knows nothing of this code.
func TestSignatureByAnother(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("needs openssl")
	}
	f := newFakeHook(t, config.WebhookJSON)
	if err := f.notifier(t).Notify(t.Context(), sample(config.Opened)); err != nil {
		t.Fatal(err)
	}
	got := f.all()[0]
	key, _ := (&config.Webhook{Secret: config.NewSecret(hookSecret)}).SigningKey()
	cmd := exec.CommandContext(t.Context(), "openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", "hexkey:"+hexOf(key), "-binary")
	cmd.Stdin = strings.NewReader(got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "." + string(got.body))
	mac, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := "v1," + base64.StdEncoding.EncodeToString(mac); got.header.Get("webhook-signature") != want {
		t.Errorf("got %s, want %s", got.header.Get("webhook-signature"), want)
	}
	if got.header.Get("User-Agent") != "whichlayer/v1.2.3" || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", got.header)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, x := range b {
		s.WriteByte(digits[x>>4])
		s.WriteByte(digits[x&15])
	}
	return s.String()
}

// TestDeliveryID is the same for the same message only.
func TestDeliveryID(t *testing.T) {
	seen := map[string]string{}
	for name, n := range map[string]string{
		"opened": deliveryID(sample(config.Opened)), "updated": deliveryID(sample(config.Updated)), "resolved": deliveryID(sample(config.Resolved)),
		"whole": deliveryID(whole()), "reminder": deliveryID(reminder()),
	} {
		if seen[n] != "" || strings.Contains(n, ".") {
			t.Errorf("%s and %s: %s", name, seen[n], n)
		}
		seen[n] = name
	}
	first, again, later := sample(config.Opened), sample(config.Opened), sample(config.Opened)
	later.Event.Time = later.Event.Time.Add(time.Nanosecond)
	if deliveryID(first) != deliveryID(again) {
		t.Error("two names for one message")
	}
	if deliveryID(first) == deliveryID(later) {
		t.Error("one name for two messages")
	}
}
