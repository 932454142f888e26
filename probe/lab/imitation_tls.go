package lab

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
)

// crypto/tls does not renegotiate as a server, nor does it let its user ask for new keys. The records that do so are made
// here, with the secrets that it logs.

const (
	recordHandshake   = 22
	recordApplication = 23
	recordVersion     = 0x0303
)

// helloRequests asks a TLS 1.2 client to shake hands again, for ever (RFC 5246, 7.4.1.1).
func helloRequests(ctx context.Context, c *conn, cert *tls.Certificate) {
	var secrets bytes.Buffer
	seen := &firstFlight{conn: c}
	t := tls.Server(seen, &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, SessionTicketsDisabled: true, KeyLogWriter: &secrets,
	})
	if t.HandshakeContext(ctx) != nil || len(seen.head) < serverRandomEnd {
		return
	}
	client, master, ok := logged(secrets.String(), "CLIENT_RANDOM")
	if !ok {
		return
	}
	// The key block is the client's key, the server's, the client's IV, the server's (RFC 5246, 6.3).
	block := prf(master, "key expansion", append(seen.head[serverRandom:serverRandomEnd:serverRandomEnd], client...), 2*16+2*4)
	seal := newGCM(block[16:32])
	iv := block[36:40]
	done := make(chan struct{})
	go func() { defer close(done); drain(c) }()
	for seq := uint64(1); ; seq++ { // 0 was the Finished message
		number := binary.BigEndian.AppendUint64(nil, seq)
		head := binary.BigEndian.AppendUint16(append(slices.Clone(number), recordHandshake), recordVersion)
		request := []byte{0, 0, 0, 0}
		head = binary.BigEndian.AppendUint16(head, uint16(len(request)))
		body := seal.Seal(slices.Clone(number), append(slices.Clone(iv), number...), request, head)
		if _, err := c.Write(record(recordHandshake, body)); err != nil {
			break
		}
	}
	_ = c.Close()
	<-done
}

// keyUpdates changes the keys of a TLS 1.3 connection, and asks the client to do so too, for ever (RFC 8446, 4.6.3).
func keyUpdates(ctx context.Context, c *conn, cert *tls.Certificate) {
	var secrets bytes.Buffer
	t := tls.Server(c, &tls.Config{
		Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true, KeyLogWriter: &secrets,
	})
	if t.HandshakeContext(ctx) != nil {
		return
	}
	_, secret, ok := logged(secrets.String(), "SERVER_TRAFFIC_SECRET_0")
	if !ok || t.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		return // without AES in hardware another one is spoken
	}
	done := make(chan struct{})
	go func() { defer close(done); drain(c) }()
	for {
		// Each key is used once, with the sequence number 0.
		plain := []byte{24, 0, 0, 1, 1, recordHandshake}
		head := record(recordApplication, make([]byte, len(plain)+16))[:5]
		body := newGCM(expand(secret, "key", 16)).Seal(nil, expand(secret, "iv", 12), plain, head)
		if _, err := c.Write(record(recordApplication, body)); err != nil {
			break
		}
		secret = expand(secret, "traffic upd", sha256.Size)
	}
	_ = c.Close()
	<-done
}

// serverRandom is where the ServerHello's random stands in a server's first record: behind the record's header, the
// message's and the version.
const (
	serverRandom    = 5 + 4 + 2
	serverRandomEnd = serverRandom + 32
)

// firstFlight remembers how what was written began.
type firstFlight struct {
	*conn
	head []byte
}

// Write implements net.Conn.
func (f *firstFlight) Write(p []byte) (int, error) {
	if missing := serverRandomEnd - len(f.head); missing > 0 {
		f.head = append(f.head, p[:min(missing, len(p))]...)
	}
	return f.conn.Write(p)
}

// logged finds a secret in a key log, and the client's random beside it.
func logged(log, label string) (random, secret []byte, ok bool) {
	for line := range strings.Lines(log) {
		w := strings.Fields(line)
		if len(w) != 3 || w[0] != label {
			continue
		}
		r, err := hex.DecodeString(w[1])
		if err != nil {
			return nil, nil, false
		}
		s, err := hex.DecodeString(w[2])
		return r, s, err == nil
	}
	return nil, nil, false
}

// newGCM is AES-GCM with a key of 16 bytes, which it takes without an error.
func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

// prf is TLS 1.2's pseudo-random function with SHA-256 (RFC 5246, 5).
func prf(secret []byte, label string, seed []byte, n int) (out []byte) {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(sha256.New, secret)
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
	seed = append([]byte(label), seed...)
	for a := mac(seed); len(out) < n; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:n]
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446, 7.1). Its lengths are short enough never to fail.
func expand(secret []byte, label string, n int) []byte {
	label = "tls13 " + label
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len(label)))
	out, err := hkdf.Expand(sha256.New, secret, string(append(append(info, label...), 0)), n)
	if err != nil {
		panic(err)
	}
	return out
}

// record is a TLS record.
func record(typ byte, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{typ}, recordVersion)
	return append(binary.BigEndian.AppendUint16(out, uint16(len(body))), body...)
}
