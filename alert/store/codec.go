package store

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

const (
	// maxUnpacked bounds in bytes what is unpacked.
	maxUnpacked = 64 << 20
	// dictionaryID stands in what was packed with the dictionary.
	dictionaryID = 1
)

// dictionary is what rounds and events look like: two of them. A round is too short to be compressed well by itself; with
// the dictionary it takes a third. It must stay as it is for ever, or what was packed cannot be unpacked.
//
//go:embed dictionary.jsonl
var dictionary []byte

// zstdMagic begins what is packed: RFC 8878, 3.1.1.
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// codec packs and unpacks. It may be used by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newCodec() (*codec, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderDictRaw(dictionaryID, dictionary))
	if err != nil {
		return nil, fmt.Errorf("prepare compression: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked),
		zstd.WithDecoderDictRaw(dictionaryID, dictionary))
	if err != nil {
		return nil, fmt.Errorf("prepare decompression: %w", err)
	}
	return &codec{enc, dec}, nil
}

func (c *codec) Close() { c.dec.Close() }

// pack compresses, with a checksum of the content.
func (c *codec) pack(data []byte) []byte { return c.enc.EncodeAll(data, nil) }

// unpack takes what was packed, and what never was as it is.
func (c *codec) unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, zstdMagic) {
		return data, nil
	}
	out, err := c.dec.DecodeAll(data, nil)
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	return out, nil
}

// decode reads a value from JSON, packed or plain.
func (c *codec) decode(data []byte, v any) error {
	plain, err := c.unpack(data)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}
