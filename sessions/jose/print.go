package jose

import (
	"fmt"
	"io"
	"log/slog"
)

// String identifies the key without revealing it.
func (k Key) String() string { return "jose.Key(" + string(k.algorithm) + " " + k.id + ")" }

// LogValue returns String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format writes String for every verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// String identifies the key by its thumbprint without revealing it.
func (k PrivateKey) String() string {
	if k.public == nil {
		return "jose.PrivateKey()"
	}
	return "jose.PrivateKey(" + string(k.public.algorithm) + " " + k.public.id + ")"
}

// LogValue returns String.
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format writes String for every verb.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }
